"""Read what placement works on: three queries, however many hosts and machines there are."""

from collections import defaultdict
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import Count, FilteredRelation, Q, Sum

from broker.core import clock
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE
from broker.sql import Given, Statement
from broker.virt.driver import PowerState
from broker.virt.models import Cluster, Host, StorageDomain, VirtualMachine
from broker.virt.states import HOST, StorageState

from .choose import Decision, Verdict, choose, judge
from .facts import HostFacts, Request

if TYPE_CHECKING:
    from django.db.models import QuerySet

MIB = 1024**2
NOBODY = UUID(int=0)


def hosts_of(cluster_id: UUID, *, besides: UUID | None = None) -> list[HostFacts]:
    """The hosts of a cluster as rules see them; the machine `besides` is not counted among theirs."""
    now = clock.now()
    shared, local, unseen = _storages(cluster_id)
    load = _load(cluster_id, besides)
    facts = []
    for host in Host.objects.filter(cluster_id=cluster_id):
        promised_mib, machines = load.get(host.pk, (0, 0))
        facts.append(
            HostFacts(
                id=host.pk,
                name=host.name,
                cluster=host.cluster_id,
                schedulable=HOST.is_(host.state, "schedulable"),
                error=host.error,
                seen_ago=(now - host.observed_at).total_seconds() if host.observed_at else None,
                memory=host.memory_bytes,
                memory_free=host.memory_free_bytes,
                promised=promised_mib * MIB,
                machines=machines,
                graphics=frozenset(host.graphics),
                storages=frozenset((shared | local[host.pk]) - unseen[host.pk]),
            )
        )
    return facts


def _storages(cluster_id: UUID) -> tuple[set[UUID], dict[UUID, set[UUID]], dict[UUID, set[UUID]]]:
    """The storages all hosts should see, those of one host by host, and by host what it was found not to see."""
    shared: set[UUID] = set()
    local: dict[UUID, set[UUID]] = defaultdict(set)
    unseen: dict[UUID, set[UUID]] = defaultdict(set)
    for storage_id, host_id, blind_id in _STORAGES.rows(cluster=cluster_id):
        if host_id is None:
            shared.add(storage_id)
        else:
            local[host_id].add(storage_id)
        if blind_id is not None:
            unseen[blind_id].add(storage_id)
    return shared, local, unseen


def _load(cluster_id: UUID, besides: UUID | None) -> dict[UUID, tuple[int, int]]:
    """Per host: MiB promised to machines being started, and the number of machines running or being started."""
    rows = _LOAD.rows(cluster=cluster_id, besides=besides or NOBODY)
    return {host_id: (promised or 0, machines) for host_id, promised, machines in rows}


def _load_of_hosts() -> "QuerySet[VirtualMachine, Any]":
    starting = Job.objects.filter(subject_kind="vm", state__in=sorted(ACTIVE), plan="vm.start").values("subject_id")
    running = Q(power_state__in=(PowerState.RUNNING, PowerState.PAUSED))
    due = Q(pk__in=starting) & ~running
    return (
        VirtualMachine.objects.filter(running | due, cluster=Given("cluster"), host__isnull=False)
        .exclude(pk=Given("besides"))
        .order_by()
        .values_list("host_id")
        .annotate(promised=Sum("memory_mib", filter=due), machines=Count("pk"))
    )


_LOAD = Statement(_load_of_hosts)
_STORAGES = Statement(
    lambda: (
        StorageDomain.objects.filter(cluster=Given("cluster"), state=StorageState.ACTIVE)
        .annotate(blind=FilteredRelation("attachments", condition=~Q(attachments__error="")))
        .order_by()
        .values_list("pk", "host_id", "blind__host_id")
    )
)


def place(vm: VirtualMachine, *, bound_to: UUID | None = None) -> Decision:
    """Choose a host for `vm`, counting it as placed there for whoever comes next once the caller commits.

    Call in a transaction: the cluster's row is locked, so that two placements never count on the same memory.
    """
    Cluster.objects.select_for_update().get(pk=vm.cluster_id)
    return choose(request_of(vm, bound_to=bound_to), hosts_of(vm.cluster_id, besides=vm.pk))


def verdicts_on(vm: VirtualMachine) -> tuple[Verdict, ...]:
    """What placement would say of every host of the cluster now; places nothing, locks nothing."""
    return judge(request_of(vm), hosts_of(vm.cluster_id, besides=vm.pk))


def request_of(vm: VirtualMachine, *, bound_to: UUID | None = None) -> Request:
    """What the machine needs of a host."""
    storages = {disk.storage_id for disk in vm.disks.all()}
    if vm.linked and vm.template_version is not None:
        storages.add(vm.template_version.storage_id)
    return Request(
        cluster=vm.cluster_id,
        memory_mib=vm.memory_mib,
        graphics=frozenset(vm.graphics or ["vnc"]),
        storages=frozenset(storages),
        host=bound_to,
    )
