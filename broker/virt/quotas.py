"""What machines cost and who pays: the meter of broker.access.quota, and its claims by the verbs on machines."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, F, Model, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from broker.access import quota
from broker.access.actor import Actor
from broker.access.quota import Amount
from broker.events.record import ActorLike
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE

from .driver import PowerState
from .models import Disk, FloatingDisk, VirtualMachine

# Their memory is taken on a host; a suspended machine's is not.
_UP = (PowerState.RUNNING, PowerState.PAUSED)
HOLDER = "desktop__holder_id"
_BRINGING_UP = Q(plan="vm.start") | Q(plan__in=("vm.create", "vm.reset-disks"), args__start=True)
# Who pays for running; nobody for a desktop that waits in its pool.
_PAYER = Coalesce(F(HOLDER), F("owner_id"))


def up() -> Q:
    """Machines that run, or will as soon as the job that was accepted gets there."""
    coming = Job.objects.filter(_BRINGING_UP, subject_kind="vm", subject_id=OuterRef("pk"), state__in=sorted(ACTIVE))
    return Q(power_state__in=_UP) | Q(Exists(coming))


class Machines:
    """The meter: what is there in rows."""

    def used(self, *, people: Any = None, cluster: UUID | None = None, without: UUID | None = None) -> Amount:
        rows = VirtualMachine.objects.exclude(pk=without) if without else VirtualMachine.objects.all()
        if cluster is not None:
            rows = rows.filter(cluster=cluster)
        owned = rows if people is None else rows.filter(owner__in=people)
        paid = rows if people is None else rows.filter(Q(**{f"{HOLDER}__in": people}) | Q(owner__in=people))
        running = paid.filter(up()).aggregate(_count=Count("pk"), _cpus=Sum("vcpus"), _memory=Sum("memory_mib"))
        disks = Disk.objects.filter(vm__in=owned.order_by().values("pk")).aggregate(_size=Sum("size_bytes"))
        floating = FloatingDisk.objects.all() if people is None else FloatingDisk.objects.filter(owner__in=people)
        if cluster is not None:
            floating = floating.filter(storage__cluster=cluster)
        waiting = floating.aggregate(_size=Sum("size_bytes"))
        return Amount(
            vcpus=running["_cpus"] or 0,
            memory_mib=running["_memory"] or 0,
            running=running["_count"],
            machines=owned.count(),
            disk_bytes=(disks["_size"] or 0) + (waiting["_size"] or 0),
        )

    def by_person(self) -> Mapping[tuple[UUID | None, UUID], Amount]:
        found: dict[tuple[UUID | None, UUID], Amount] = defaultdict(Amount)
        rows = VirtualMachine.objects.order_by()
        for payer, cluster, count, vcpus, memory in (
            rows.filter(up()).annotate(payer=_PAYER).values_list("payer", "cluster_id")
            .annotate(_count=Count("pk"), _cpus=Sum("vcpus"), _memory=Sum("memory_mib"))
        ):  # fmt: skip
            found[payer, cluster] += Amount(vcpus=vcpus, memory_mib=memory, running=count)
        for owner, cluster, count in rows.values_list("owner_id", "cluster_id").annotate(_count=Count("pk")):
            found[owner, cluster] += Amount(machines=count)
        disks = Disk.objects.order_by().values_list("vm__owner_id", "vm__cluster_id").annotate(_size=Sum("size_bytes"))
        floating = FloatingDisk.objects.order_by().values_list("owner_id", "storage__cluster_id")
        for owner, cluster, size in (*disks, *floating.annotate(_size=Sum("size_bytes"))):
            found[owner, cluster] += Amount(disk_bytes=size)
        return found


def claim_start(actor: Actor, vm: VirtualMachine) -> None:
    """Before `vm` is started: its payer's and its cluster's quotas. One query where there is no quota."""
    if quota.any_in_force():
        quota.claim(
            running(vm), actor=actor, payer=_payer(vm.pk), cluster=vm.cluster_id, subject=vm, without=vm.pk
        )  # fmt: skip


def claim_holding(actor: Actor, vm: VirtualMachine, holder: UUID) -> None:
    """When a machine that runs, or is coming up, becomes the `holder`'s: theirs to pay from now on.

    One that is off is claimed by its start. One query where there is no quota.
    """
    if quota.any_in_force() and VirtualMachine.objects.filter(up(), pk=vm.pk).exists():
        vm = VirtualMachine.objects.only("vcpus", "memory_mib", "cluster_id").get(pk=vm.pk)
        quota.claim(
            running(vm), actor=actor, payer=holder, cluster=vm.cluster_id, subject=vm, without=vm.pk, of_cluster=False
        )


def claim_creation(actor: Actor, vm: VirtualMachine, *, disk_bytes: int, start: bool) -> None:
    """Before the row of `vm` is written, with a disk of `disk_bytes`."""
    if quota.any_in_force():
        need = Amount(machines=1, disk_bytes=disk_bytes) + (running(vm) if start else Amount())
        quota.ensure_could_run(running(vm), payer=vm.owner_id, cluster=vm.cluster_id)
        quota.claim(need, actor=actor, payer=vm.owner_id, cluster=vm.cluster_id, subject=vm)


def claim_disks(actor: Actor, vm: VirtualMachine, *, more_bytes: int, start: bool = False) -> None:
    """Before disks of `vm` grow by `more_bytes` in all, or one is added; `start`: and it is started."""
    if not quota.any_in_force():
        return
    if more_bytes > 0:
        quota.claim(
            Amount(disk_bytes=more_bytes), actor=actor, payer=vm.owner_id, cluster=vm.cluster_id, subject=vm
        )  # fmt: skip
    if start:
        claim_start(actor, vm)


def claim_disk_of(
    actor: ActorLike,
    owner: UUID | None,
    cluster: UUID,
    *,
    size: int,
    subject: Model,
    before: UUID | None = None,
    new: bool = False,
) -> None:
    """Before a disk counts for `owner`, who may pay for a disk of no machine as for a machine's. `before`: who paid for
    it until now; `new`: nobody did, and it is new to the cluster, too.
    """  # fmt: skip
    if quota.any_in_force() and (new or owner != before):
        quota.claim(
            Amount(disk_bytes=size), actor=actor, payer=owner, cluster=cluster, subject=subject, of_cluster=new
        )  # fmt: skip


def claim_growth(actor: Actor, vm: VirtualMachine, *, vcpus: int, memory_mib: int) -> None:
    """Before a running machine grows to these sizes (0, or smaller: it does not)."""
    if quota.any_in_force():
        more = Amount(vcpus=max(vcpus - vm.vcpus, 0), memory_mib=max(memory_mib - vm.memory_mib, 0))
        quota.claim(more, actor=actor, payer=_payer(vm.pk), cluster=vm.cluster_id, subject=vm)


def claim_gift(actor: Actor, vm: VirtualMachine, owner: UUID) -> None:
    """Before `vm` becomes the `owner`'s: its disks and, while it runs and nobody else pays for that, its size."""
    if not quota.any_in_force():
        return
    disks = Disk.objects.filter(vm=vm).aggregate(_size=Sum("size_bytes"))["_size"] or 0
    running_now = VirtualMachine.objects.filter(up(), pk=vm.pk, **{f"{HOLDER}__isnull": True}).exists()
    need = Amount(machines=1, disk_bytes=disks) + (running(vm) if running_now else Amount())
    quota.claim(need, actor=actor, payer=owner, cluster=vm.cluster_id, subject=vm, of_cluster=False)


def ensure_size(vm: VirtualMachine, *, vcpus: int, memory_mib: int) -> None:
    """Before a machine that is off is made larger. Raises OverQuota when it could never be started so."""
    if quota.any_in_force():
        need = Amount(vcpus=vcpus, memory_mib=memory_mib)
        quota.ensure_could_run(need, payer=_payer(vm.pk), cluster=vm.cluster_id)


def running(vm: VirtualMachine) -> Amount:
    """What `vm` takes while it runs."""
    return Amount(vcpus=vm.vcpus, memory_mib=vm.memory_mib, running=1)


def _payer(pk: UUID) -> UUID | None:
    rows: QuerySet[Any] = VirtualMachine.objects.filter(pk=pk).values_list(_PAYER, flat=True)
    payer: UUID | None = rows.first()
    return payer
