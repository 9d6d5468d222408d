"""How long people waited for a desktop of a pool: percentiles by phase, the slowest, the share within the goal."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q

from broker.connections.models import SessionTiming
from broker.connections.models.timing import PHASES, TOTAL
from broker.connections.percentiles import percentiles
from broker.connections.timing_facts import Given, giver
from broker.core import clock

from .models import Assignment, Pool, PoolGoal

DAYS = (1, 7, 30)
MOST_READ = 5000
"""The newest waits that are looked at; more say nothing new about a percentile."""
STEPS = 28
"""Points of the line over time."""


@giver
def who_got(machines: Collection[UUID], since: datetime) -> list[Given]:
    """Who got which of these desktops since then, or holds it still: one query."""
    rows = Assignment.objects.filter(desktop__in=machines, pool__isnull=False)
    rows = rows.filter(Q(since__gte=since) | Q(until__isnull=True))
    columns = ("desktop", "pool", "user", "asked_at", "since")
    return [Given(desktop, pool, user, asked, at) for desktop, pool, user, asked, at in rows.values_list(*columns)]


@dataclass(frozen=True, slots=True)
class Phase:
    """Times in milliseconds. `name` is one of the phases of a SessionTiming, or "total"."""

    name: str
    count: int
    percentiles: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Point:
    """One stretch of time in the line: its beginning, and the total's median and 95th percentile, None without any."""

    at: datetime
    median: int | None
    p95: int | None


@dataclass(frozen=True, slots=True)
class Summary:
    """`goal` in seconds; `within` is the share (0 to 1) of waits that were not longer, None without goal or waits."""

    days: int
    count: int
    phases: Sequence[Phase]
    slowest: str
    goal: int | None
    within: float | None
    points: Sequence[Point]

    @property
    def total(self) -> Phase:
        return self.phases[-1]


def summary(pool: Pool, *, days: int = 7) -> Summary:
    """The waits of the last `days`: two queries."""
    now = clock.now()
    since = now - timedelta(days=days)
    rows = list(
        SessionTiming.objects.filter(pool_id=pool.pk, open=False, at__gte=since)
        .order_by("-at")
        .values_list("at", *PHASES, TOTAL)[:MOST_READ]
    )
    phases = [_phase(name, [row[index] for row in rows]) for index, name in enumerate((*PHASES, TOTAL), start=1)]
    totals = [(row[0], row[-1]) for row in rows if row[-1] is not None]
    goal = PoolGoal.objects.filter(pool=pool).values_list("seconds", flat=True).first()
    within = None
    if goal is not None and totals:
        within = sum(took <= goal * 1000 for _at, took in totals) / len(totals)
    known = [phase for phase in phases[:-1] if phase.count]
    slowest = max(known, key=lambda phase: phase.percentiles[95]).name if known else ""
    return Summary(days, len(rows), phases, slowest, goal, within, _line(totals, since, now))


def _phase(name: str, values: Sequence[int | None]) -> Phase:
    known = [value for value in values if value is not None]
    return Phase(name, len(known), percentiles(known))


def _line(totals: Sequence[tuple[datetime, int]], since: datetime, until: datetime) -> list[Point]:
    step = (until - since) / STEPS
    stretches: list[list[int]] = [[] for _ in range(STEPS)]
    for at, took in totals:
        stretches[min(int((at - since) / step), STEPS - 1)].append(took)
    points = []
    for index, values in enumerate(stretches):
        found = percentiles(values)
        points.append(Point(since + index * step, found.get(50), found.get(95)))
    return points
