"""Take a host out of service: no machine is started on it, those that run go on.

One that sleeps may be, too: then nobody wakes it.
"""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE
from broker.virt.models import Host
from broker.virt.states import HOST, HostState


@transaction.atomic
def maintain_host(*, actor: Actor, host: Host) -> Host:
    """Raises Missing, Denied, or Conflict when it is so already, or is being switched off or on to save power."""
    require(actor, "host.manage", host)
    power = Job.objects.filter(subject_kind="host", subject_id=host.pk, state__in=ACTIVE)
    if host.state == HostState.ASLEEP and power.exists():
        raise Conflict(
            N_("%(host)s is being switched off or on."), rule="power.under-way", about=host, host=host.name,
            fix=N_("Wait until that is done."),
        )  # fmt: skip
    HOST.move(host, "maintain", asleep_at=None)
    record("host.maintain", actor=actor, subject=host, message=N_("%(name)s was put into maintenance"), name=host.name)
    publish("host", host.pk, "changed")
    return host
