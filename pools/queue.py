"""The queue of a pool: who waits for a desktop, in which order, and how long it may still take."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Count, QuerySet

from broker.core import clock
from broker.directories.models import User
from broker.jobs.models import Job
from broker.jobs.states import JobState
from broker.sql import Given

from .estimate import Supply, arrivals, median
from .models import Assignment, Desktop, Pool, PoolWaiter
from .sizing import Limits
from .states import POOL, DesktopState

PATIENCE = timedelta(seconds=75)  # who is silent for longer has gone away; browsers slow down hidden pages
UNCLAIMED = timedelta(seconds=120)  # a desktop that came for somebody who has gone goes back after this
BEAT = 5  # seconds between two questions of a waiting page
MOST_ESTIMATED = 1000
_MEASURED = 20
_STAYS = 200
_REMEMBERED = 5.0  # seconds; many people wait for one pool and ask the same

_outlooks: dict[UUID, tuple[float, tuple[float, ...]]] = {}


@dataclass(frozen=True, slots=True)
class Place:
    """`position` counts from 1; `seconds` is until a desktop may be expected, None when nobody can tell.

    `came`: one is there and waits to be fetched.
    """

    pool: Pool
    position: int
    waiting: int
    since: datetime
    seconds: int | None = None
    came: bool = False


def waiting(pool: Pool | Given, since: Given | None = None) -> QuerySet[PoolWaiter]:
    """Those who are still there and have not got one, the first first. Also for Exists(); in a Statement, `since`
    is gone_before()."""
    rows = PoolWaiter.objects.filter(pool=pool, desktop__isnull=True)
    return rows.filter(seen_at__gt=since or gone_before()).order_by("pk")


def gone_before() -> datetime:
    """Who was silent since then has gone away."""
    return clock.now() - PATIENCE


def place_of(waiter: PoolWaiter, pool: Pool) -> Place:
    """Where in the queue `waiter` stands: one query, and now and then some more for the estimate."""
    ids = list(waiting(pool).values_list("pk", flat=True))
    position = sum(pk < waiter.pk for pk in ids) + 1
    times = outlook(pool)
    seconds = round(times[position - 1]) if position <= len(times) else None
    return Place(pool, position, max(len(ids), position), waiter.joined_at, seconds, waiter.desktop_id is not None)


def places_of(user: User, pools: list[UUID]) -> dict[UUID, Place]:
    """Where the user waits, of these pools, by pool. One query when nowhere."""
    rows = PoolWaiter.objects.filter(user=user, pool__in=pools, seen_at__gt=clock.now() - PATIENCE)
    return {row.pool_id: place_of(row, row.pool) for row in rows.select_related("pool__template")}


def worth_waiting(pool: Pool) -> bool:
    """Whether a desktop may become free without an administrator doing something."""
    if not POOL.is_(pool.state, "open") or not pool.size:
        return False
    counts = dict(Desktop.objects.filter(pool=pool).order_by().values_list("state").annotate(count=Count("pk")))
    soon = {DesktopState.BUILDING, DesktopState.RESETTING, DesktopState.FREE}
    if pool.kind == Pool.Kind.AUTOMATIC:
        soon.add(DesktopState.ASSIGNED)
    present = sum(counts.values()) - counts.get(DesktopState.RETIRING, 0)
    return any(counts.get(state) for state in soon) or (present < pool.size and not pool.alert)


def outlook(pool: Pool) -> tuple[float, ...]:
    """By when the first, the second, … desktop may be expected; remembered for some seconds."""
    at, times = _outlooks.get(pool.pk, (float("-inf"), ()))
    if not 0 <= clock.steady() - at < _REMEMBERED:
        if len(_outlooks) > MOST_ESTIMATED:
            _outlooks.clear()
        times = arrivals(supply_of(pool), MOST_ESTIMATED)
        _outlooks[pool.pk] = (clock.steady(), times)
    return times


def supply_of(pool: Pool) -> Supply:
    """What further desktops of the pool can come from, measured from its own past. Five queries."""
    now = clock.now()
    rows = list(Desktop.objects.filter(pool=pool).values_list("state", "changed_at", "held_since"))
    making = _measured(Job.objects.filter(correlation=f"pool-{pool.pk}", plan="vm.create"))
    of_pool = Desktop.objects.filter(pool=pool).values("pk")
    resetting = _measured(Job.objects.filter(subject_kind="vm", subject_id__in=of_pool, plan="vm.reset-disks"))
    takes = {DesktopState.BUILDING: making, DesktopState.RESETTING: resetting}
    coming = [
        max(seconds - (now - changed).total_seconds(), 1.0)
        for state, changed, _ in rows
        if (seconds := takes.get(DesktopState(state))) is not None
    ]
    size = (pool.target or {}).get("size", pool.size)
    present = sum(state != DesktopState.RETIRING for state, _, _ in rows)
    comes_back = pool.kind == Pool.Kind.AUTOMATIC
    return Supply(
        coming=coming,
        unmade=0 if pool.alert else max(size - present, 0),
        at_once=Limits().builds,
        making=making,
        held=[(now - since).total_seconds() for _, _, since in rows if since is not None] if comes_back else (),
        stays=_stays(pool) if comes_back else (),
        turnover=0.0 if pool.stateful else resetting or 0.0,
    )


def _measured(jobs: QuerySet[Job]) -> float | None:
    """How long the last ones that went well took, from their acceptance to their end."""
    rows = jobs.filter(state=JobState.SUCCEEDED).order_by("-created_at")
    times = rows.values_list("created_at", "finished_at")[:_MEASURED]
    return median([(end - begin).total_seconds() for begin, end in times if end is not None])


def _stays(pool: Pool) -> list[float]:
    rows = Assignment.objects.filter(pool=pool, until__isnull=False).order_by("-since")
    return [(until - since).total_seconds() for since, until in rows.values_list("since", "until")[:_STAYS] if until]
