"""Remove a host from Berth; what runs on it goes on running."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import rows
from broker.virt.models import Host
from broker.virt.states import HOST


@transaction.atomic
def delete_host(*, actor: Actor, host: Host) -> None:
    """Only from maintenance. Raises Missing, Denied, or Conflict naming the machines and storage still on it."""
    require(actor, "host.manage", host)
    if not HOST.is_(host.state, "removable"):
        raise Conflict(
            N_("%(name)s is in service."),
            rule="host.maintenance",
            about=host,
            fix=N_("Put it into maintenance first."),
            name=host.name,
        )
    pk = host.pk
    rows.remove(host)
    record("host.deleted", actor=actor, subject=host, message=N_("Host %(name)s was removed"), name=host.name)
    publish("host", pk, "deleted")
