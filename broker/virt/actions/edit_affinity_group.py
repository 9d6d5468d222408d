"""Change an affinity group: its rules and its members."""

from collections.abc import Iterable
from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import affinity, rows
from broker.virt.models import AffinityGroup, Host, VirtualMachine


@transaction.atomic
def edit_affinity_group(
    *,
    actor: Actor,
    group: AffinityGroup,
    machines: Iterable[VirtualMachine] | None = None,
    hosts: Iterable[Host] | None = None,
    **settings: Any,
) -> AffinityGroup:
    """Write what is given (None: leave); members are replaced. Machines that run are moved by balancing, not by this.

    Raises Missing, Denied, Invalid or Conflict (the name is taken).
    """
    require(actor, "cluster.manage", group)
    affinity.members(actor, group.cluster, machines, hosts)
    rows.change(group, affinity.checked(settings))
    if machines is not None:
        group.machines.set(machines)
    if hosts is not None:
        group.hosts.set(hosts)
    record(
        "affinity-group.edited", actor=actor, subject=group.cluster, message=N_("Affinity group %(group)s was changed"),
        group=group.name,
    )  # fmt: skip
    publish("cluster", group.cluster_id, "changed")
    return group
