"""How many desktops a pool needs now, and which: pure arithmetic over frozen values.

`plan` looks at what is wanted and at every desktop, and says what to build, start, stop, retire, delete and
reset in one pass, never more than the limits. It asks nobody and changes nothing; doing what it says and asking
again comes to rest. A desktop that somebody has is never named in a plan.

Further levels of readiness (suspended, by calendar, forecast) are other ways to come to a `Wanted`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from .states import DesktopState

IDLE_BEFORE_STOP = 60.0  # seconds: who comes back at once finds it still running


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many desktops there are to be, and how many free ones are to be running.

    `held_back`: something fails again and again and its time has not come. `doubtful`: its time has come, so that
    one at a time is tried until one succeeds.
    """

    size: int
    prestarted: int = 0
    held_back: bool = False
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Seat:
    """One desktop as sizing sees it.

    `running`: its machine is up. `busy`: a job works on it. `coming`: that job leaves it running.
    `idle`: seconds since it last changed hands. `waiting`: it failed and is left alone for now.
    """

    id: UUID
    number: int
    state: DesktopState
    running: bool = False
    busy: bool = False
    coming: bool = False
    idle: float = 0.0
    waiting: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """How many jobs of each kind the pool may have under way at once."""

    builds: int = 10
    starts: int = 2
    removals: int = 10
    resets: int = 50


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now. `build` new desktops, of which `build_running` are to be started; the rest by id.

    `reset` and `reset_running` are resets to enqueue (again); the latter are to run afterwards.
    `retire` are desktops to be removed; `delete` are retired ones whose removal is to be enqueued (again).
    """

    build: int = 0
    build_running: int = 0
    start: tuple[UUID, ...] = ()
    stop: tuple[UUID, ...] = ()
    retire: tuple[UUID, ...] = ()
    delete: tuple[UUID, ...] = ()
    reset: tuple[UUID, ...] = ()
    reset_running: tuple[UUID, ...] = ()

    @property
    def restful(self) -> bool:
        return self == Plan()


def plan(wanted: Wanted, seats: Sequence[Seat], limits: Limits) -> Plan:
    """One pass."""
    counted = [seat for seat in seats if seat.state is not DesktopState.RETIRING]
    retire = _surplus(counted, len(counted) - wanted.size, limits, _removals_under_way(seats))
    kept = [seat for seat in counted if seat.id not in set(retire)]

    build = _room(wanted.size - len(counted), wanted, limits.builds, _builds_under_way(counted))
    starts = _room(limits.starts, wanted, limits.starts, sum(seat.coming for seat in seats))
    up = sum(_will_be_up(seat) for seat in kept)
    lacking = max(wanted.prestarted - up, 0)

    resettable = _in_order(kept, lambda s: s.state is DesktopState.RESETTING and not s.busy and not s.waiting)
    resettable = resettable[: max(limits.resets - sum(s.busy and s.state is DesktopState.RESETTING for s in kept), 0)]
    # A fresh start is part of the reset, so those come first: no further job, no second boot.
    running_again = min(len(resettable), lacking, starts)
    lacking, starts = lacking - running_again, starts - running_again

    startable = _in_order(kept, lambda s: _idle_off(s) and not s.waiting)[: min(lacking, starts)]
    lacking, starts = lacking - len(startable), starts - len(startable)
    return Plan(
        build=build,
        build_running=min(build, lacking, starts),
        start=startable,
        stop=_too_many_up(kept, up - wanted.prestarted),
        retire=retire,
        delete=_in_order(
            seats, lambda s: s.state is DesktopState.RETIRING and not s.busy and not s.waiting
        )[: max(limits.removals - _removals_under_way(seats) - len(retire), 0)],
        reset=resettable[running_again:],
        reset_running=resettable[:running_again],
    )  # fmt: skip


def satisfied(wanted: Wanted, seats: Sequence[Seat]) -> bool:
    """Whether nothing more needs to be built or started."""
    counted = [seat for seat in seats if seat.state is not DesktopState.RETIRING]
    settled = all(seat.state not in (DesktopState.BUILDING, DesktopState.RESETTING) for seat in counted)
    up = sum(seat.state is DesktopState.FREE and seat.running for seat in counted)
    startable = any(_idle_off(seat) for seat in counted)
    return settled and len(counted) >= wanted.size and (up >= wanted.prestarted or not startable)


def _room(wish: int, wanted: Wanted, limit: int, under_way: int) -> int:
    """How many of `wish` may begin now."""
    if wanted.held_back:
        return 0
    return max(min(wish, (1 if wanted.doubtful else limit) - under_way), 0)


def _builds_under_way(seats: Sequence[Seat]) -> int:
    return sum(seat.state is DesktopState.BUILDING for seat in seats)


def _removals_under_way(seats: Sequence[Seat]) -> int:
    return sum(seat.state is DesktopState.RETIRING and seat.busy for seat in seats)


def _will_be_up(seat: Seat) -> bool:
    """Whether it is, or is about to be, free and running."""
    if seat.state is DesktopState.FREE:
        return seat.coming or (seat.running and not seat.busy)
    return seat.coming and seat.state in (DesktopState.BUILDING, DesktopState.RESETTING)


def _idle_off(seat: Seat) -> bool:
    return seat.state is DesktopState.FREE and not seat.running and not seat.busy


def _surplus(seats: Sequence[Seat], excess: int, limits: Limits, under_way: int) -> tuple[UUID, ...]:
    """Which to give up, the least useful first: broken, unfinished, off, running; of like ones the highest number."""
    rank = {DesktopState.BROKEN: 0, DesktopState.BUILDING: 1, DesktopState.FREE: 2}
    spare = [seat for seat in seats if seat.state in rank and not seat.busy]
    spare.sort(key=lambda seat: (rank[seat.state], seat.running, -seat.number))
    return tuple(seat.id for seat in spare[: max(min(excess, limits.removals - under_way), 0)])


def _too_many_up(seats: Sequence[Seat], excess: int) -> tuple[UUID, ...]:
    """Which to stop: those that nobody had for the longest time."""
    up = [s for s in seats if s.state is DesktopState.FREE and s.running and not s.busy and not s.waiting]
    idle = sorted((s for s in up if s.idle >= IDLE_BEFORE_STOP), key=lambda s: (-s.idle, -s.number))
    return tuple(seat.id for seat in idle[: max(excess, 0)])


def _in_order(seats: Sequence[Seat], condition: Callable[[Seat], bool]) -> tuple[UUID, ...]:
    return tuple(seat.id for seat in sorted(seats, key=lambda seat: seat.number) if condition(seat))
