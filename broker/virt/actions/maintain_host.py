"""Take a host out of service: no machine is started on it, those that run go on."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt.models import Host
from broker.virt.states import HOST


@transaction.atomic
def maintain_host(*, actor: Actor, host: Host) -> Host:
    """Raises Missing, Denied, or Conflict when it is so already."""
    require(actor, "host.manage", host)
    HOST.move(host, "maintain")
    record("host.maintain", actor=actor, subject=host, message=N_("%(name)s was put into maintenance"), name=host.name)
    publish("host", host.pk, "changed")
    return host
