"""Remove a network that nothing plugs into."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import rows
from broker.virt.models import Network


@transaction.atomic
def delete_network(*, actor: Actor, network: Network) -> None:
    """Raises Missing, Denied, or Conflict naming who uses it."""
    require(actor, "network.manage", network)
    pk = network.pk
    rows.remove(network)
    record(
        "network.deleted", actor=actor, subject=network, message=N_("Network %(name)s was removed"), name=network.name
    )
    publish("network", pk, "deleted")
