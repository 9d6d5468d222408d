"""Remove an empty cluster."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import rows
from broker.virt.models import Cluster


@transaction.atomic
def delete_cluster(*, actor: Actor, cluster: Cluster) -> None:
    """Raises Missing, Denied, or Conflict naming who uses it."""
    require(actor, "cluster.manage", cluster)
    pk = cluster.pk
    rows.remove(cluster)
    record(
        "cluster.deleted", actor=actor, subject=cluster, message=N_("Cluster %(name)s was removed"), name=cluster.name
    )
    publish("cluster", pk, "deleted")
