"""Cut a host's power at once, whatever it says; its machines count as off when power management says that it is."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt.models import Host
from broker.virt.states import HostState


@transaction.atomic
def fence_host(*, actor: Actor, host: Host) -> Job:
    """Ask for it; returns the job. Raises Missing, Denied, Conflict (no fence device, or it is asleep) or Busy."""
    require(actor, "host.manage", host)
    if not host.fence_devices.exists():
        raise Conflict(
            N_("%(host)s has no fence device."),
            rule="fence.device",
            fix=N_("Add one on its page, or switch it off by hand and confirm that."),
            host=host.name,
        )
    if host.state == HostState.ASLEEP:
        raise Conflict(
            N_("%(host)s is switched off to save power."), rule="power.asleep", about=host, host=host.name,
            fix=N_("Nothing needs to be cut; wake it to use it."),
        )  # fmt: skip
    record(
        "host.fence-asked", actor=actor, subject=host, severity="warning", name=host.name,
        message=N_("Fencing of %(name)s was asked for"),
    )  # fmt: skip
    return enqueue("host.fence", actor=actor, subject=host, args={"manual": True})
