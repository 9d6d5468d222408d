"""Make a cluster: hosts among which machines are placed."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.virt import macs, names, rows
from broker.virt.models import Cluster


@transaction.atomic
def create_cluster(*, actor: Actor, name: str, description: str = "", mac_ranges: str = "") -> Cluster:
    """`mac_ranges`: of which addresses its cards get theirs, as macs.py reads them; empty, of QEMU's own.

    Raises Denied, Invalid or Conflict (the name is taken)."""
    require(actor, "cluster.manage")
    cluster = Cluster(
        name=names.name(name), description=names.description(description), mac_ranges=macs.checked(mac_ranges)
    )
    rows.insert(cluster)
    record("cluster.created", actor=actor, subject=cluster, message=N_("Cluster %(name)s was made"), name=cluster.name)
    return cluster
