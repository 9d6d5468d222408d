"""Read a pool as sizing sees it: every desktop, what works on it, and what failed. A handful of queries."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Sum

from broker.core import clock
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE, JobState
from broker.virt.models import Cluster, Host
from broker.virt.states import HostState

from .holding import UP
from .models import Desktop, Pool
from .sizing import Limits, Seat
from .states import DesktopState

REMEMBERED = timedelta(hours=1)  # older failures of a desktop do not count
STARTS_PER_CPU = 2
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
_FAILED = (JobState.FAILED, JobState.ERRORED)
_COUNTED_PLANS = ("vm.start", "vm.shutdown", "vm.power-off", "vm.reset-disks", "vm.delete")


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
    """A pool's desktops as rows, the jobs on them, and what failed."""

    desktops: tuple[Desktop, ...]
    busy: dict[UUID, tuple[str, dict[str, Any]]]
    failures: dict[UUID, Failures]
    resets_done: frozenset[UUID]

    def seats(self) -> list[Seat]:
        now = clock.now()
        return [
            Seat(
                id=row.pk,
                number=row.number,
                state=DesktopState(row.state),
                running=row.vm.power_state in UP,
                busy=row.pk in self.busy,
                coming=self.coming(row.pk),
                idle=(now - row.changed_at).total_seconds(),
                waiting=self.failed(row.pk).waiting,
            )
            for row in self.desktops
        ]

    def coming(self, desktop_id: UUID) -> bool:
        plan, args = self.busy.get(desktop_id, ("", {}))
        return plan == "vm.start" or (plan in ("vm.create", "vm.reset-disks") and bool(args.get("start")))

    def failed(self, desktop_id: UUID) -> Failures:
        return self.failures.get(desktop_id, Failures())


def look(pool: Pool) -> Look:
    """Read it now: four queries, and one more after failures and resets each."""
    rows = tuple(Desktop.objects.filter(pool=pool).select_related("vm", "holder").order_by("number"))
    of_pool = Desktop.objects.filter(pool=pool).values("pk")
    active = Job.objects.filter(subject_kind="vm", subject_id__in=of_pool, state__in=sorted(ACTIVE))
    busy = {subject: (plan, args) for subject, plan, args in active.values_list("subject_id", "plan", "args")}
    return Look(rows, busy, _failures(rows, of_pool), _resets_done(rows))


def _failures(rows: Iterable[Desktop], of_pool: Any) -> dict[UUID, Failures]:
    since = {row.pk: row.changed_at for row in rows}
    jobs = Job.objects.filter(subject_kind="vm", subject_id__in=of_pool, plan__in=_COUNTED_PLANS)
    failed = list(jobs.filter(state__in=_FAILED, created_at__gte=clock.now() - REMEMBERED).order_by("created_at"))
    if not failed:
        return {}
    good: dict[UUID, datetime] = {}
    for subject, at in (
        jobs.filter(state=JobState.SUCCEEDED, subject_id__in=[job.subject_id for job in failed])
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


def limits(cluster: Cluster) -> Limits:
    """What the cluster's hosts can start at once."""
    hosts = Host.objects.filter(cluster=cluster, state=HostState.ACTIVE, error="")
    cpus = hosts.aggregate(cpus=Sum("cpus"))["cpus"] or 0
    return Limits(starts=max(STARTS_PER_CPU * cpus, 1))
