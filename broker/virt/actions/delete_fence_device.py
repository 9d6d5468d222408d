"""Forget a way to cut a host's power."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt.models import FenceDevice, Host
from broker.virt.states import HostState


@transaction.atomic
def delete_fence_device(*, actor: Actor, device: FenceDevice) -> None:
    """The last one of a host takes its leave to be switched off along.

    Raises Missing, Denied, or Conflict (it is the one by which a host that sleeps is woken).
    """
    host = device.host
    require(actor, "host.manage", host)
    if not host.fence_devices.exclude(pk=device.pk).exists():
        if host.state == HostState.ASLEEP:
            raise Conflict(
                N_("%(host)s is switched off to save power, and is woken by this fence device."), rule="power.asleep",
                about=host, fix=N_("Wake the host first, or put it into maintenance."), host=host.name,
            )  # fmt: skip
        Host.objects.filter(pk=host.pk).update(may_sleep=False)
    told = str(device)
    device.delete()
    record(
        "fence-device.deleted", actor=actor, subject=host, message=N_("%(name)s lost the fence device %(device)s"),
        name=host.name, device=told,
    )  # fmt: skip
    publish("host", host.pk, "changed")
