"""Read what placement works on: three queries, however many hosts and machines there are."""

from collections import defaultdict
from uuid import UUID

from django.db.models import Count, Q, Sum

from broker.core import clock
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE
from broker.virt.driver import PowerState
from broker.virt.models import Cluster, Host, StorageDomain, VirtualMachine
from broker.virt.states import HOST

from .choose import Decision, choose
from .facts import HostFacts, Request

MIB = 1024**2


def hosts_of(cluster_id: UUID, *, besides: UUID | None = None) -> list[HostFacts]:
    """The hosts of a cluster as rules see them; the machine `besides` is not counted among theirs."""
    now = clock.now()
    shared, local = _storages(cluster_id)
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
                storages=frozenset(shared | local[host.pk]),
            )
        )
    return facts


def _storages(cluster_id: UUID) -> tuple[set[UUID], dict[UUID, set[UUID]]]:
    shared: set[UUID] = set()
    local: dict[UUID, set[UUID]] = defaultdict(set)
    for storage_id, host_id in StorageDomain.objects.filter(cluster_id=cluster_id).values_list("pk", "host_id"):
        if host_id is None:
            shared.add(storage_id)
        else:
            local[host_id].add(storage_id)
    return shared, local


def _load(cluster_id: UUID, besides: UUID | None) -> dict[UUID, tuple[int, int]]:
    """Per host: MiB promised to machines being started, and the number of machines running or being started."""
    starting = Job.objects.filter(subject_kind="vm", state__in=ACTIVE, plan="vm.start").values("subject_id")
    running = Q(power_state__in=(PowerState.RUNNING, PowerState.PAUSED))
    due = Q(pk__in=starting) & ~running
    rows = (
        VirtualMachine.objects.filter(cluster_id=cluster_id, host__isnull=False)
        .filter(running | due)
        .exclude(pk__in=[besides] if besides else [])
        .values("host_id")
        .annotate(promised=Sum("memory_mib", filter=due), machines=Count("pk"))
    )
    return {row["host_id"]: (row["promised"] or 0, row["machines"]) for row in rows}


def place(vm: VirtualMachine, *, bound_to: UUID | None = None) -> Decision:
    """Choose a host for `vm`, counting it as placed there for whoever comes next once the caller commits.

    Call in a transaction: the cluster's row is locked, so that two placements never count on the same memory.
    """
    Cluster.objects.select_for_update().get(pk=vm.cluster_id)
    storages = set(vm.disks.values_list("storage_id", flat=True))
    if vm.linked and vm.template_version is not None:
        storages.add(vm.template_version.storage_id)
    request = Request(
        cluster=vm.cluster_id,
        memory_mib=vm.memory_mib,
        graphics=frozenset(vm.graphics or ["vnc"]),
        storages=frozenset(storages),
        host=bound_to,
    )
    return choose(request, hosts_of(vm.cluster_id, besides=vm.pk))
