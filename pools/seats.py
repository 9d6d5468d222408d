"""Read a pool as sizing sees it: every desktop, what works on it, and what failed. A handful of queries."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery

from broker.core import clock
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE, JobState
from broker.sql import Given, Statement, time
from broker.virt.driver import PowerState
from broker.virt.models import Cluster, Host, Recovery, VirtualMachine
from broker.virt.states import RECOVERY, HostState
from broker.virt.turns import ALSO_STARTING, most_starts

from .holding import UP
from .models import Desktop, Pool
from .silence import given_up, on_silent_host
from .sizing import Limits, Seat
from .states import DesktopState

REMEMBERED = timedelta(hours=1)  # older failures of a desktop do not count
BOOTED_BY = timedelta(seconds=120)  # a guest without an agent is taken to be up by then
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
_FAILED = (JobState.FAILED, JobState.ERRORED)
_COUNTED_PLANS = ("vm.start", "vm.suspend", "vm.shutdown", "vm.power-off", "vm.reset-disks", "vm.delete")


def pause(failures: int) -> timedelta:
    """How long to leave alone what failed `failures` times in a row."""
    return timedelta(seconds=min(FIRST_PAUSE * 2 ** max(failures - 1, 0), LONGEST_PAUSE))


@dataclass(frozen=True, slots=True)
class Failures:
    """What failed of one desktop since it last changed hands: how often, when last, and why."""

    count: int = 0
    last: datetime | None = None
    plan: str = ""
    error: dict[str, Any] = field(default_factory=dict)

    @property
    def waiting(self) -> bool:
        return self.last is not None and clock.now() < self.last + pause(self.count)


@dataclass(frozen=True, slots=True)
class Look:
    """A pool's desktops as rows, the jobs on them, what failed, and those whose host does not answer.

    `silent`: those of a host that does not answer → whether it was given up for now.
    """

    desktops: tuple[Desktop, ...]
    busy: dict[UUID, tuple[str, dict[str, Any]]]
    failures: dict[UUID, Failures]
    resets_done: frozenset[UUID]
    silent: dict[UUID, bool] = field(default_factory=dict)

    def seats(self) -> list[Seat]:
        now = clock.now()
        return [
            Seat(
                id=row.pk,
                number=row.number,
                state=DesktopState(row.state),
                running=row.vm.power_state in UP and not self.silent.get(row.pk),
                suspended=row.vm.power_state == PowerState.SUSPENDED and not self.silent.get(row.pk),
                busy=row.pk in self.busy,
                coming=self.coming(row.pk),
                sleeping=self.busy.get(row.pk, ("",))[0] == "vm.suspend",
                ripe=_booted(row, now),
                host=row.vm.host_id,
                idle=(now - row.changed_at).total_seconds(),
                waiting=self.failed(row.pk).waiting or row.pk in self.silent,
                protected=row.vm.protected,
            )
            for row in self.desktops
        ]

    def coming(self, desktop_id: UUID) -> bool:
        plan, args = self.busy.get(desktop_id, ("", {}))
        return plan == "vm.start" or (plan in ALSO_STARTING and bool(args.get("start")))

    def failed(self, desktop_id: UUID) -> Failures:
        return self.failures.get(desktop_id, Failures())

    def forget(self, desktop_id: UUID) -> None:
        """It has just changed hands: what failed before does not count any more."""
        self.failures.pop(desktop_id, None)


def _booted(row: Desktop, now: datetime) -> bool:
    """Whether the guest has come up, as its agent or its age says."""
    vm = row.vm
    if vm.power_state != PowerState.RUNNING or vm.booted_at is None:
        return False
    return bool(vm.guest.get("agent")) or now - vm.booted_at >= BOOTED_BY


def look(pool: Pool) -> Look:
    """Read it now: two queries, and one more after failures, resets and losses each.

    Machines and the jobs on them are read by one statement: of a job that ends in between, another would see the
    machine as it was before and the job as it is after, and take for broken what has just been made.
    """
    rows = tuple(_DESKTOPS.objects(pool=pool.pk))
    busy = {row.pk: (row.job_plan, row.job_args) for row in rows if row.job_plan}
    busy |= _coming_back(rows, busy)
    now = clock.now()
    silent = {row.pk: given_up(row.silent, row.heard, now) for row in rows if row.silent}
    return Look(rows, busy, _failures(pool, rows), _resets_done(rows), silent)


def _coming_back(rows: Iterable[Desktop], busy: Iterable[UUID]) -> dict[UUID, tuple[str, dict[str, Any]]]:
    """Those that went down with their host and are restarted elsewhere: as good as a start, although no job is yet."""
    down = {row.pk for row in rows if row.vm.available and row.vm.power_state not in UP} - set(busy)
    if not down:
        return {}
    lost = Recovery.objects.filter(vm__in=down, state__in=RECOVERY.sets["open"])
    return {pk: ("vm.start", {}) for pk in lost.values_list("vm_id", flat=True)}


_ACTIVE = Job.objects.filter(subject_kind="vm", subject_id=OuterRef("pk"), state__in=sorted(ACTIVE))
_DESKTOPS = Statement(
    lambda: (
        Desktop.objects.filter(pool=Given("pool"))
        .select_related("vm", "holder")
        # What costs most to read of a machine, and what no pool asks.
        .defer(*(f"vm__{name}" for name in ("cloud_init", "consoles", "graphics", "labels", "notes", "options")))
        .annotate(job_plan=Subquery(_ACTIVE.values("plan")[:1]), job_args=Subquery(_ACTIVE.values("args")[:1]))
        .annotate(silent=on_silent_host(), heard=F("vm__host__observed_at"))
        .order_by("number")
    )
)


def _failures(pool: Pool, rows: Iterable[Desktop]) -> dict[UUID, Failures]:
    failed = _FAILED_OF.objects(pool=pool.pk, since=clock.now() - REMEMBERED)
    if not failed:
        return {}
    since = {row.pk: row.changed_at for row in rows}
    good: dict[UUID, datetime] = {}
    for subject, at in (
        _jobs_of(pool.pk)
        .filter(state=JobState.SUCCEEDED, subject_id__in=[job.subject_id for job in failed])
        .order_by("created_at")
        .values_list("subject_id", "created_at")
    ):
        good[subject] = at
    counts: dict[UUID, int] = defaultdict(int)
    found: dict[UUID, Failures] = {}
    for job in failed:
        if job.subject_id not in since:
            continue  # it was removed between two queries
        if job.created_at >= max(since[job.subject_id], good.get(job.subject_id, since[job.subject_id])):
            counts[job.subject_id] += 1
            found[job.subject_id] = Failures(counts[job.subject_id], job.finished_at, job.plan, job.error or {})
    return found


def _jobs_of(pool: Any) -> "QuerySet[Job]":
    of_pool = Desktop.objects.filter(pool=pool).order_by().values("pk")
    return Job.objects.filter(subject_kind="vm", subject_id__in=of_pool, plan__in=_COUNTED_PLANS)


_FAILED_OF = Statement(
    lambda: _jobs_of(Given("pool")).filter(state__in=_FAILED, created_at__gte=time("since")).order_by("created_at")
)


def _resets_done(rows: Iterable[Desktop]) -> frozenset[UUID]:
    """Desktops to be reset whose reset was done since they were given back."""
    since = {row.pk: row.changed_at for row in rows if row.state == DesktopState.RESETTING}
    if not since:
        return frozenset()
    done = Job.objects.filter(
        subject_kind="vm", subject_id__in=list(since), plan="vm.reset-disks", state=JobState.SUCCEEDED,
        created_at__gte=min(since.values()),
    ).values_list("subject_id", "created_at")  # fmt: skip
    return frozenset(subject for subject, at in done if at >= since[subject])


def limits(cluster: Cluster, look: Look) -> Limits:
    """What the cluster's hosts can start at once, and how much of that is under way: for this pool, two queries."""
    hosts = dict(_HOSTS.rows(cluster=cluster.pk))
    # How many machines of the cluster are on their way up, by host; None where the host is yet to be chosen.
    under_way: dict[UUID | None, int] = dict(_STARTING_ON.rows(cluster=cluster.pk))
    bearing = {pk: most_starts(cpus) for pk, cpus in hosts.items()}
    return Limits(
        starts=settings.STARTS_PER_CLUSTER or max(sum(bearing.values()), 1),
        starting_elsewhere=max(sum(under_way.values()) - sum(look.coming(row.pk) for row in look.desktops), 0),
        rooms={pk: most - under_way.get(pk, 0) for pk, most in bearing.items()},
    )


_HOSTS = Statement(
    lambda: (
        Host.objects.filter(cluster=Given("cluster"), state=HostState.ACTIVE, error="")
        .order_by()
        .values_list("pk", "cpus")
    )
)


def _coming_up() -> "QuerySet[VirtualMachine, Any]":
    jobs = Job.objects.filter(subject_kind="vm", state__in=sorted(ACTIVE)).filter(
        Q(plan="vm.start") | Q(plan__in=ALSO_STARTING, args__start=True)
    )
    rows = VirtualMachine.objects.filter(cluster=Given("cluster"), pk__in=jobs.values("subject_id")).order_by()
    return rows.values_list("host_id").annotate(count=Count("pk"))


_STARTING_ON = Statement(_coming_up)
