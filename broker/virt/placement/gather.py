"""Read what placement works on: the same few queries, however many hosts and machines there are."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import Avg, Count, F, FilteredRelation, Q, Sum
from django.db.models.functions import Coalesce

from broker.core import clock
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE
from broker.sql import Given, Statement
from broker.virt import cpu_pinning, host_devices
from broker.virt.driver import PowerState
from broker.virt.models import Cluster, Host, StorageDomain, VirtualMachine
from broker.virt.states import HOST, HostState, StorageState

from .choose import Decision, Verdict, choose, judge
from .facts import HostFacts, Request
from .groups import groups_of
from .picture import MachineFacts, Picture, wishes_of
from .policy import EVEN, SAVING, Policy
from .recover import reserves

if TYPE_CHECKING:
    from django.db.models import QuerySet

MIB = 1024**2
NOBODY = UUID(int=0)
UP = (PowerState.RUNNING, PowerState.PAUSED)
BY_LOAD = (EVEN, SAVING)
BY_HARDWARE = ("pinning", "huge_pages", "numa")  # rules by which a machine does not start where it was before


def hosts_of(
    cluster_id: UUID, *, besides: UUID | None = None, policy: Policy | None = None, asked: Request | None = None
) -> list[HostFacts]:
    """The hosts of a cluster as rules see them; the machine `besides` is not counted among theirs.

    `asked`: with what a request like this is judged by and others are not: the huge pages that are promised to machines
    being started, and the memory that machines take from certain NUMA nodes.
    """
    now = clock.now()
    policy = policy or Policy()
    busy = busy_of(cluster_id, policy) if policy.policy in BY_LOAD else {}
    shared, local, unseen = _storages(cluster_id)
    load = _load(cluster_id, besides)
    pages = _pages_promised(cluster_id, besides) if asked and asked.page_kib else {}
    noded = _on_nodes(cluster_id, besides) if asked and asked.memory_nodes else {}
    facts = []
    for host in _HOSTS.objects(cluster=cluster_id):
        promised_mib, machines, vcpus, given = load.get(host.pk, (0, 0, 0, 0))
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
                cpus=host.cpus,
                vcpus=vcpus,
                given_mib=given,
                load=_load_of(host, busy) if policy.policy in BY_LOAD else None,
                models=frozenset(host.cpu_models),
                online=frozenset(cpu for node in host.nodes for cpu in _cpus_of(node)),
                nodes=tuple((node["number"], node["memory_bytes"]) for node in host.nodes),
                pages=tuple(
                    (node["number"], one["kib"], one["free"]) for node in host.nodes for one in node.get("pages", ())
                ),
                pages_promised=pages[host.pk] if pages else {},
                on_nodes=noded.get(host.pk, {}),
                lost=host.lost_at is not None,
                asleep=host.state == HostState.ASLEEP,
            )
        )
    if policy.reserve_hosts:
        facts = _with_reserves(cluster_id, facts, policy)
    return facts


_HOSTS = Statement(lambda: Host.objects.filter(cluster=Given("cluster")).annotate(lost_at=F("health__lost_at")))


def _cpus_of(node: Mapping[str, Any]) -> frozenset[int]:
    return cpu_pinning.numbers(node["cpus"], field="nodes") if node["cpus"] else frozenset()


def busy_of(cluster_id: UUID, policy: Policy) -> dict[UUID, tuple[UUID, float]]:
    """Of each running machine its host and the processors it kept busy on average over the policy's minutes."""
    since = clock.now() - timedelta(minutes=policy.cpu_over_commit_duration_minutes)
    rows = (
        VirtualMachine.objects.filter(cluster=cluster_id, power_state__in=UP, samples__at__gt=since, host__isnull=False)
        .order_by()
        .values_list("pk", "host_id", "vcpus")
        .annotate(mean=Avg("samples__cpu_percent"))
    )
    return {pk: (host, (mean or 0.0) * vcpus / 100) for pk, host, vcpus, mean in rows}


def _load_of(host: Host, busy: dict[UUID, tuple[UUID, float]]) -> float:
    used = sum(processors for on, processors in busy.values() if on == host.pk)
    return used * 100 / host.cpus if host.cpus else 0.0


def _with_reserves(cluster_id: UUID, facts: list[HostFacts], policy: Policy) -> list[HostFacts]:
    awake = [one for one in facts if not one.asleep]
    kept = reserves(Picture(policy, awake, _machines(cluster_id, {}, frozenset())), policy.reserve_hosts)
    return [replace(one, reserved=kept.get(one.id, 0)) for one in facts]


def picture_of(cluster: Cluster) -> Picture:
    """The whole cluster, for planners."""
    policy = Policy.of(cluster.rules)
    active = Job.objects.filter(subject_kind="vm", state__in=ACTIVE).values_list("subject_id", flat=True)
    machines = _machines(cluster.pk, busy_of(cluster.pk, policy), frozenset(active))
    asked = next((one.request for one in machines if one.request.memory_nodes), None)
    return Picture(policy, hosts_of(cluster.pk, policy=policy, asked=asked), machines, groups_of(cluster.pk))


def _machines(cluster_id: UUID, busy: dict[UUID, tuple[UUID, float]], at_work: frozenset[UUID]) -> list[MachineFacts]:
    rows = VirtualMachine.objects.filter(cluster=cluster_id, power_state__in=UP, host__isnull=False)
    return [
        machine_facts(vm, busy=busy.get(vm.pk, (None, 0.0))[1], movable=vm.pk not in at_work)
        for vm in rows.select_related("template_version", "cd").prefetch_related(
            "disks", "disk_shares__disk", "devices__device"
        )
    ]


def machine_facts(vm: VirtualMachine, *, busy: float = 0.0, movable: bool = True) -> MachineFacts:
    """A machine as planners see it."""
    return MachineFacts(
        id=vm.pk,
        name=vm.name,
        host=vm.host_id,
        request=request_of(vm),
        priority=vm.priority,
        running=vm.power_state in UP,
        movable=movable and vm.power_state == PowerState.RUNNING,
        busy=busy,
    )


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


def _load(cluster_id: UUID, besides: UUID | None) -> dict[UUID, tuple[int, int, int, int]]:
    """Per host: MiB promised to machines being started; and of machines running or being started their number,
    processors and memory."""
    rows = _LOAD.rows(cluster=cluster_id, besides=besides or NOBODY)
    return {host_id: (promised or 0, machines, vcpus, given) for host_id, promised, machines, vcpus, given in rows}


def _load_of_hosts() -> "QuerySet[VirtualMachine, Any]":
    running = Q(power_state__in=UP)
    due = Q(moving_to__isnull=False) | (Q(pk__in=_starting()) & ~running)
    return (
        VirtualMachine.objects.filter(running | due, cluster=Given("cluster"), host__isnull=False)
        .exclude(pk=Given("besides"))
        .order_by()
        # a machine that moves counts where it will be: there its memory is not in use yet, and is promised
        .values_list(Coalesce("moving_to_id", "host_id"))
        .annotate(
            promised=Sum("memory_mib", filter=due),
            machines=Count("pk"),
            processors=Sum("vcpus"),
            given=Sum("memory_mib"),
        )
    )


def _pages_promised(cluster_id: UUID, besides: UUID | None) -> dict[UUID, dict[int, int]]:
    """Per host and size in KiB the huge pages of machines that are being started or moved there."""
    found: dict[UUID, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    due = Q(moving_to__isnull=False) | (Q(pk__in=_starting()) & ~Q(power_state__in=UP))
    rows = VirtualMachine.objects.filter(
        due, cluster=cluster_id, host__isnull=False, options__hugepages_kib__gt=0
    ).exclude(pk=besides or NOBODY)
    for host, memory, options in rows.values_list(Coalesce("moving_to_id", "host_id"), "memory_mib", "options"):
        found[host][options["hugepages_kib"]] += memory * 1024 // options["hugepages_kib"]
    return found


def _on_nodes(cluster_id: UUID, besides: UUID | None) -> dict[UUID, dict[frozenset[int], int]]:
    """Per host the MiB of machines that run or are being started or moved there, by the nodes that they come from."""
    found: dict[UUID, dict[frozenset[int], int]] = defaultdict(lambda: defaultdict(int))
    there = Q(power_state__in=UP) | Q(moving_to__isnull=False) | Q(pk__in=_starting())
    rows = VirtualMachine.objects.filter(
        there, cluster=cluster_id, host__isnull=False, options__has_key="numa_host_nodes"
    ).exclude(pk=besides or NOBODY)
    for host, memory, options in rows.values_list(Coalesce("moving_to_id", "host_id"), "memory_mib", "options"):
        if nodes := cpu_pinning.memory_nodes(options):
            found[host][nodes] += memory
    return found


def _starting() -> "QuerySet[Job, Any]":
    return Job.objects.filter(subject_kind="vm", state__in=sorted(ACTIVE), plan="vm.start").values("subject_id")


_LOAD = Statement(_load_of_hosts)
_STORAGES = Statement(
    lambda: (
        StorageDomain.objects.filter(cluster=Given("cluster"), state=StorageState.ACTIVE)
        .annotate(blind=FilteredRelation("attachments", condition=~Q(attachments__error="")))
        .order_by()
        .values_list("pk", "host_id", "blind__host_id")
    )
)


def place(
    vm: VirtualMachine,
    *,
    bound_to: UUID | None = None,
    leaving: UUID | None = None,
    storages: Collection[UUID] | None = None,
) -> Decision:
    """Choose a host for `vm`, counting it as placed there for whoever comes next once the caller commits.

    `leaving`: a host it moves away from; `storages`: those it then needs, where they are not those of its disks.

    Call in a transaction: the cluster's row is locked, so that two placements never count on the same memory.
    """
    ((rules,),) = _LOCKED_RULES.rows(cluster=vm.cluster_id)
    policy = Policy.of(rules)
    request = _moving(_within(vm, request_of(vm, bound_to=bound_to), policy), leaving, storages)
    return choose(request, hosts_of(vm.cluster_id, besides=vm.pk, policy=policy, asked=request))


_LOCKED_RULES = Statement(
    lambda: Cluster.objects.select_for_update().filter(pk=Given("cluster")).order_by().values_list("rules")
)


def wanted_by(vm: VirtualMachine, *, bound_to: UUID | None = None) -> Request:
    """What `place` would look for: the machine's needs with its cluster's policy and what affinity groups want."""
    return _within(vm, request_of(vm, bound_to=bound_to), Policy.of(Cluster.objects.get(pk=vm.cluster_id).rules))


def verdicts_on(
    vm: VirtualMachine, *, leaving: UUID | None = None, storages: Collection[UUID] | None = None
) -> tuple[Verdict, ...]:
    """What placement would say of every host of the cluster now; places nothing, locks nothing."""
    policy = Policy.of(Cluster.objects.get(pk=vm.cluster_id).rules)
    request = _moving(_within(vm, request_of(vm), policy), leaving, storages)
    return judge(request, hosts_of(vm.cluster_id, besides=vm.pk, policy=policy, asked=request))


def lacks_hardware(vm: VirtualMachine) -> bool:
    """Whether the host it is on lacks what the machine's own hardware needs there."""
    request = request_of(vm)
    if not (request.host_cpus or request.page_kib or request.memory_nodes):
        return False
    return unfit_here(vm, verdicts_on(vm))


def unfit_here(vm: VirtualMachine, verdicts: Iterable[Verdict]) -> bool:
    """The same of verdicts at hand."""
    here = (verdict for verdict in verdicts if verdict.host.id == vm.host_id)
    return any(reason.rule in BY_HARDWARE for verdict in here for reason in verdict.refusals)


def _moving(request: Request, leaving: UUID | None, storages: Collection[UUID] | None) -> Request:
    needed = request.storages if storages is None else frozenset(storages)
    return replace(request, leaving=leaving, storages=needed)


def _within(vm: VirtualMachine, request: Request, policy: Policy) -> Request:
    """The request with the cluster's policy and what affinity groups want."""
    groups = [group for group in groups_of(vm.cluster_id) if vm.pk in group.machines]
    if not groups:
        return replace(request, policy=policy)
    members = {one for group in groups for one in group.machines}
    rows = VirtualMachine.objects.filter(pk__in=members).filter(Q(power_state__in=UP) | Q(pk__in=_starting()))
    where = dict(rows.values_list("pk", "host_id"))
    return replace(request, policy=policy, affinities=wishes_of(vm.pk, groups, where))


def request_of(vm: VirtualMachine, *, bound_to: UUID | None = None) -> Request:
    """What the machine needs of a host."""
    storages = {disk.storage_id for disk in vm.disks.all()}
    if vm.linked and vm.template_version is not None:
        storages.add(vm.template_version.storage_id)
    storages |= {share.disk.storage_id for share in vm.disk_shares.all()}
    if vm.cd is not None:
        storages.add(vm.cd.storage_id)
    if vm.seed_on_id is not None:
        storages.add(vm.seed_on_id)
    return Request(
        cluster=vm.cluster_id,
        memory_mib=vm.memory_mib,
        graphics=frozenset(vm.graphics or ["vnc"]),
        storages=frozenset(storages),
        host=vm.host_id if vm.outside else bound_to,
        devices_on=host_devices.bound_to(vm),
        host_cpus=cpu_pinning.host_cpus(vm.options),
        page_kib=vm.options.get("hugepages_kib", 0),
        memory_nodes=cpu_pinning.memory_nodes(vm.options),
        memory_strict=vm.options.get("numa_mode") == "strict",
        vcpus=vm.vcpus,
        available=vm.available,
    )
