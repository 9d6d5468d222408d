"""Forget a way to cut a host's power."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt.models import FenceDevice


@transaction.atomic
def delete_fence_device(*, actor: Actor, device: FenceDevice) -> None:
    """Raises Missing or Denied."""
    host = device.host
    require(actor, "host.manage", host)
    told = str(device)
    device.delete()
    record(
        "fence-device.deleted", actor=actor, subject=host, message=N_("%(name)s lost the fence device %(device)s"),
        name=host.name, device=told,
    )  # fmt: skip
    publish("host", host.pk, "changed")
