"""Put a host back into service."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt.models import Host
from broker.virt.states import HOST


@transaction.atomic
def activate_host(*, actor: Actor, host: Host) -> Host:
    """Raises Missing, Denied, or Conflict when it is so already."""
    require(actor, "host.manage", host)
    HOST.move(host, "activate")
    record("host.activate", actor=actor, subject=host, message=N_("%(name)s was put into service"), name=host.name)
    publish("host", host.pk, "changed")
    return host
