"""Change a cluster's name and description."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names, rows
from broker.virt.models import Cluster


@transaction.atomic
def edit_cluster(*, actor: Actor, cluster: Cluster, name: str | None = None, description: str | None = None) -> Cluster:
    """Write what is given (None: leave). Raises Missing, Denied, Invalid or Conflict (the name is taken)."""
    require(actor, "cluster.manage", cluster)
    wanted = {
        "name": None if name is None else names.name(name),
        "description": None if description is None else names.description(description),
    }
    if rows.change(cluster, wanted):
        record("cluster.edited", actor=actor, subject=cluster, message=N_("Cluster %(name)s was changed"),
               name=cluster.name)  # fmt: skip
        publish("cluster", cluster.pk, "changed")
    return cluster
