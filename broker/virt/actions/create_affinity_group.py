"""Make an affinity group: machines that belong together or apart, or on certain hosts."""

from collections.abc import Iterable
from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import affinity, rows
from broker.virt.models import AffinityGroup, Cluster, Host, VirtualMachine


@transaction.atomic
def create_affinity_group(
    *,
    actor: Actor,
    cluster: Cluster,
    name: str,
    machines: Iterable[VirtualMachine] | None = None,
    hosts: Iterable[Host] | None = None,
    **settings: Any,
) -> AffinityGroup:
    """`settings`: machine_rule, machine_hard, host_rule, host_hard, machine_label, host_label and same_owner, as the
    columns of the model. Raises Missing, Denied, Invalid or Conflict (the name is taken).
    """
    require(actor, "cluster.manage", cluster)
    affinity.members(actor, cluster, machines, hosts)
    group = AffinityGroup(cluster=cluster, **affinity.checked({"name": name, **settings}))
    rows.insert(group)
    group.machines.set(machines or ())
    group.hosts.set(hosts or ())
    record(
        "affinity-group.created", actor=actor, subject=cluster, message=N_("Affinity group %(group)s was made"),
        group=group.name,
    )  # fmt: skip
    publish("cluster", cluster.pk, "changed")
    return group
