"""Put a host into maintenance when its machines have been moved to other hosts."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt.models import Host
from broker.virt.states import HOST


@transaction.atomic
def evacuate_host(*, actor: Actor, host: Host) -> Job:
    """Returns the job; from now on no machine is started there. Cancelled or failed, the host is in service again.

    A host in maintenance with machines that were left running on it may be evacuated too.
    Raises Missing, Denied, Conflict (it is being evacuated) or Busy.
    """
    require(actor, "host.manage", host)
    HOST.move(host, "evacuate")
    record(
        "host.evacuate", actor=actor, subject=host, name=host.name,
        message=N_("The machines of %(name)s are moved away, to put it into maintenance"),
    )  # fmt: skip
    publish("host", host.pk, "changed")
    return enqueue("host.evacuate", actor=actor, subject=host)
