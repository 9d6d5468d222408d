"""Remove an affinity group; its members stay where they are."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt.models import AffinityGroup


@transaction.atomic
def delete_affinity_group(*, actor: Actor, group: AffinityGroup) -> None:
    """Raises Missing or Denied."""
    require(actor, "cluster.manage", group)
    cluster = group.cluster
    group.delete()
    record(
        "affinity-group.deleted", actor=actor, subject=cluster, message=N_("Affinity group %(group)s was removed"),
        group=group.name,
    )  # fmt: skip
    publish("cluster", cluster.pk, "changed")
