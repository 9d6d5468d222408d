"""Switch a host on that was switched off to save power."""

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
def wake_host(*, actor: Actor, host: Host) -> Job:
    """Returns the job; the host is in service when it answers. Raises Missing, Denied, Conflict (it does not sleep) or
    Busy."""
    require(actor, "host.manage", host)
    if host.state != HostState.ASLEEP:
        raise Conflict(
            N_("%(host)s does not sleep."),
            rule="power.asleep",
            about=host,
            fix=N_("Only a host that was switched off to save power can be woken."),
            host=host.name,
        )
    record("host.wake-asked", actor=actor, subject=host, message=N_("%(name)s is woken by an administrator"),
           name=host.name)  # fmt: skip
    return enqueue("host.wake", actor=actor, subject=host)
