"""Read the affinity groups of a cluster, with their members found by name, label or owner."""

from collections import defaultdict
from uuid import UUID

from broker.sql import Given, Statement
from broker.virt.models import AffinityGroup, Host, VirtualMachine

from .picture import Group

_TOGETHER = {AffinityGroup.Rule.TOGETHER: True, AffinityGroup.Rule.APART: False}


def groups_of(cluster_id: UUID) -> list[Group]:
    """Every group as placement sees it. One query when there are none, five at most."""
    rows: list[AffinityGroup] = _OF_CLUSTER.objects(cluster=cluster_id)
    if not rows:
        return []
    machines, hosts = defaultdict(set), defaultdict(set)
    for group, member in AffinityGroup.machines.through.objects.filter(affinitygroup__in=rows).values_list(
        "affinitygroup_id", "virtualmachine_id"
    ):
        machines[group].add(member)
    for group, member in AffinityGroup.hosts.through.objects.filter(affinitygroup__in=rows).values_list(
        "affinitygroup_id", "host_id"
    ):
        hosts[group].add(member)
    labelled = [row for row in rows if row.machine_label or row.host_label or row.same_owner]
    if not labelled:
        return [_group(row, row.name, machines[row.pk], hosts[row.pk]) for row in rows]
    known = list(VirtualMachine.objects.filter(cluster=cluster_id).values_list("pk", "owner_id", "labels"))
    host_labels = list(Host.objects.filter(cluster=cluster_id).values_list("pk", "labels"))
    found = []
    for row in rows:
        members = machines[row.pk] | {
            pk for pk, _, labels in known if row.machine_label and row.machine_label in labels
        }
        places = hosts[row.pk] | {pk for pk, labels in host_labels if row.host_label and row.host_label in labels}
        if not row.same_owner:
            found.append(_group(row, row.name, members, places))
            continue
        owned: dict[UUID, set[UUID]] = defaultdict(set)
        for pk, owner, _ in known:
            if owner is not None and (pk in members or not members):
                owned[owner].add(pk)
        found += [_group(row, row.name, theirs, places) for theirs in owned.values()]
    return found


_OF_CLUSTER = Statement(lambda: AffinityGroup.objects.filter(cluster=Given("cluster")))


def _group(row: AffinityGroup, name: str, machines: set[UUID], hosts: set[UUID]) -> Group:
    return Group(
        name=name,
        machines=frozenset(machines),
        hosts=frozenset(hosts),
        machines_together=_TOGETHER.get(AffinityGroup.Rule(row.machine_rule)),
        machines_hard=row.machine_hard,
        hosts_together=_TOGETHER.get(AffinityGroup.Rule(row.host_rule)),
        hosts_hard=row.host_hard,
    )
