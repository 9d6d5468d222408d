"""How many desktops a pool needs now, and which: pure arithmetic over frozen values.

`plan` looks at what is wanted and at every desktop, and says what to build, start, stop, retire, delete and
reset in one pass, never more than the limits. It asks nobody and changes nothing; doing what it says and asking
again comes to rest. A desktop that somebody has is never named in a plan.

Two levels of readiness: running, and suspended to disk. A desktop gets to the second by way of the first: it is
started, boots, and is suspended. Calendar and forecast are ways to come to a `Wanted` (see aim.py).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from .states import DesktopState

IDLE_BEFORE_STOP = 60.0  # seconds: who comes back at once finds it still running


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many desktops there are to be, and how many free ones are to be running or to lie suspended to disk.

    `keep_saved`: saved memory is worth something, so that suspended ones beyond those wanted stay as they are.
    `held_back`: something fails again and again and its time has not come. `doubtful`: its time has come, so that
    one at a time is tried until one succeeds.
    """

    size: int
    prestarted: int = 0
    suspended: int = 0
    keep_saved: bool = False
    held_back: bool = False
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Seat:
    """One desktop as sizing sees it.

    `running`: its machine is up; `suspended`: its memory lies on disk. `busy`: a job works on it.
    `coming`: that job leaves it running; `sleeping`: that job leaves it suspended.
    `ripe`: it is up for long enough to be suspended. `host`: where it would start, None when that is open.
    `idle`: seconds since it last changed hands. `waiting`: it failed and is left alone for now. `protected`: it must
    not be deleted.
    """

    id: UUID
    number: int
    state: DesktopState
    running: bool = False
    suspended: bool = False
    busy: bool = False
    coming: bool = False
    sleeping: bool = False
    ripe: bool = False
    host: UUID | None = None
    idle: float = 0.0
    waiting: bool = False
    protected: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """How many jobs of each kind the pool may have under way at once.

    `starts` is for all pools of the cluster together: `starting_elsewhere` are those under way that are not the
    pool's. `rooms`: how many further ones each host bears; a host that is not named bears as many as come.
    """

    builds: int = 25
    starts: int = 2
    removals: int = 10
    resets: int = 50
    suspends: int = 4
    starting_elsewhere: int = 0
    rooms: Mapping[UUID, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now. `build` new desktops, of which `build_running` are to be started; the rest by id.

    `suspend` are running ones to be suspended; `stop` running or suspended ones to be switched off.
    `reset` and `reset_running` are resets to enqueue (again); the latter are to run afterwards.
    `retire` are desktops to be removed; `delete` are retired ones whose removal is to be enqueued (again).
    """

    build: int = 0
    build_running: int = 0
    start: tuple[UUID, ...] = ()
    suspend: tuple[UUID, ...] = ()
    stop: tuple[UUID, ...] = ()
    retire: tuple[UUID, ...] = ()
    delete: tuple[UUID, ...] = ()
    reset: tuple[UUID, ...] = ()
    reset_running: tuple[UUID, ...] = ()

    @property
    def restful(self) -> bool:
        return self == Plan()

    @property
    def starts(self) -> int:
        """How many machines come up by it."""
        return len(self.start) + len(self.reset_running) + self.build_running


def plan(wanted: Wanted, seats: Sequence[Seat], limits: Limits) -> Plan:
    """One pass."""
    counted = [seat for seat in seats if seat.state is not DesktopState.RETIRING]
    retire = _surplus(counted, len(counted) - wanted.size, limits, _removals_under_way(seats))
    kept = [seat for seat in counted if seat.id not in set(retire)]
    build = _room(wanted.size - len(counted), wanted, limits.builds, _builds_under_way(counted))

    rooms = _Rooms(wanted, limits, sum(seat.coming for seat in seats))
    up, asleep = sum(map(_will_be_up, kept)), sum(map(_will_be_asleep, kept))
    # Awake in seconds: those come first when running ones are lacking, and others then take their place on disk.
    lacking = max(wanted.prestarted - up, 0)
    woken = rooms.take(_sorted(kept, lambda s: _idle(s) and s.suspended and not s.waiting), lacking)
    asleep_later = asleep - len(woken)
    more_asleep = max(wanted.suspended - asleep_later, 0)
    need = max(wanted.prestarted + more_asleep - up - len(woken), 0)

    resettable = _sorted(kept, lambda s: s.state is DesktopState.RESETTING and not s.busy and not s.waiting)
    resettable = resettable[: max(limits.resets - sum(s.busy and s.state is DesktopState.RESETTING for s in kept), 0)]
    # A fresh start is part of the reset, so those come before others that are off: no further job, no second boot.
    reset_running = rooms.take(resettable, need)
    need -= len(reset_running)
    started = rooms.take(_sorted(kept, lambda s: _idle_off(s) and not s.waiting), need)
    need -= len(started)

    room = limits.suspends - sum(seat.sleeping for seat in seats)
    suspend = _to_suspend(kept, min(up - wanted.prestarted, more_asleep, room))
    stop = _too_many_up([seat for seat in kept if seat.id not in set(suspend)], up - wanted.prestarted - more_asleep)
    if not lacking and not wanted.keep_saved:
        stop += _too_many_asleep(kept, asleep_later - wanted.suspended)
    return Plan(
        build=build,
        build_running=min(build, need, rooms.left),
        start=(*woken, *started),
        suspend=suspend,
        stop=stop,
        retire=retire,
        delete=_in_order(
            seats, lambda s: s.state is DesktopState.RETIRING and not s.busy and not s.waiting
        )[: max(limits.removals - _removals_under_way(seats) - len(retire), 0)],
        reset=tuple(seat.id for seat in resettable if seat.id not in set(reset_running)),
        reset_running=reset_running,
    )  # fmt: skip


class _Rooms:
    """How many starts may begin, in all and on each host, while they are being given away."""

    def __init__(self, wanted: Wanted, limits: Limits, under_way: int):
        mine = _room(limits.starts, wanted, limits.starts, under_way)
        self.left = max(min(mine, limits.starts - limits.starting_elsewhere - under_way), 0)
        self._hosts = dict(limits.rooms)

    def take(self, seats: Sequence[Seat], most: int) -> tuple[UUID, ...]:
        """The first `most` of `seats` that may be started; one whose host is full is passed over."""
        taken: list[UUID] = []
        for seat in seats:
            if len(taken) >= most or not self.left:
                break
            if seat.host is not None and seat.host in self._hosts:
                if self._hosts[seat.host] <= 0:
                    continue
                self._hosts[seat.host] -= 1
            self.left -= 1
            taken.append(seat.id)
        return tuple(taken)


def satisfied(wanted: Wanted, seats: Sequence[Seat]) -> bool:
    """Whether nothing more needs to be built or started."""
    counted = [seat for seat in seats if seat.state is not DesktopState.RETIRING]
    settled = all(seat.state not in (DesktopState.BUILDING, DesktopState.RESETTING) for seat in counted)
    up = sum(_idle(seat) and seat.running for seat in counted)
    asleep = sum(_idle(seat) and seat.suspended for seat in counted)
    enough = up >= wanted.prestarted and up + asleep >= wanted.prestarted + wanted.suspended
    startable = any(_idle_off(seat) or (up < wanted.prestarted and _idle(seat) and seat.suspended) for seat in counted)
    return settled and len(counted) >= wanted.size and (enough or not startable)


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


def _will_be_asleep(seat: Seat) -> bool:
    return seat.state is DesktopState.FREE and (seat.sleeping or (seat.suspended and not seat.busy))


def _idle(seat: Seat) -> bool:
    return seat.state is DesktopState.FREE and not seat.busy


def _idle_off(seat: Seat) -> bool:
    return _idle(seat) and not seat.running and not seat.suspended


def _surplus(seats: Sequence[Seat], excess: int, limits: Limits, under_way: int) -> tuple[UUID, ...]:
    """Which to give up, the least useful first: broken, unfinished, off, running; of like ones the highest number."""
    rank = {DesktopState.BROKEN: 0, DesktopState.BUILDING: 1, DesktopState.FREE: 2}
    spare = [seat for seat in seats if seat.state in rank and not seat.busy and not seat.protected]
    spare.sort(key=lambda seat: (rank[seat.state], seat.running, seat.suspended, -seat.number))
    return tuple(seat.id for seat in spare[: max(min(excess, limits.removals - under_way), 0)])


def _to_suspend(seats: Sequence[Seat], most: int) -> tuple[UUID, ...]:
    """Only ripe ones: a guest that is suspended while it boots would go on booting in front of its user."""
    ripe = _in_order(seats, lambda s: _idle(s) and s.running and s.ripe and not s.waiting)
    return ripe[: max(most, 0)]


def _too_many_up(seats: Sequence[Seat], excess: int) -> tuple[UUID, ...]:
    """Which to stop: those that nobody had for the longest time."""
    return _longest_idle([seat for seat in seats if _idle(seat) and seat.running], excess)


def _too_many_asleep(seats: Sequence[Seat], excess: int) -> tuple[UUID, ...]:
    return _longest_idle([seat for seat in seats if _idle(seat) and seat.suspended], excess)


def _longest_idle(seats: Sequence[Seat], most: int) -> tuple[UUID, ...]:
    idle = sorted(
        (seat for seat in seats if seat.idle >= IDLE_BEFORE_STOP and not seat.waiting),
        key=lambda seat: (-seat.idle, -seat.number),
    )
    return tuple(seat.id for seat in idle[: max(most, 0)])


def _sorted(seats: Sequence[Seat], condition: Callable[[Seat], bool]) -> list[Seat]:
    return [seat for seat in sorted(seats, key=lambda seat: seat.number) if condition(seat)]


def _in_order(seats: Sequence[Seat], condition: Callable[[Seat], bool]) -> tuple[UUID, ...]:
    return tuple(seat.id for seat in _sorted(seats, condition))
