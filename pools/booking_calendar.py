"""The calendar of a pool: how many desktops are free in which hour of which day, for pages and scripts alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from broker.core import clock

from .booked import intervals, next_free_time, open_rows
from .booking import Interval, free_in
from .calendar import Window, opening, read_windows
from .models import Booking, BookingRules

DAYS = 7


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour as clocks on walls show it: two hours long where it comes twice, of no length where it is skipped.

    `free`: how many more can be booked for all that is left of it. `past`, `closed` (for some of it) and `blocked` say
    why there are none. `mine`: the reader has booked some of it.
    """

    start: datetime
    end: datetime
    free: int = 0
    past: bool = False
    closed: bool = False
    blocked: bool = False
    mine: bool = False


@dataclass(frozen=True, slots=True)
class Week:
    """`hours`: 24 of each day, the first day first."""

    days: Sequence[date]
    hours: Sequence[Sequence[Hour]]
    capacity: int
    next_free: datetime | None

    @property
    def times(self) -> list[Hour]:
        """All of them in a row, without those that no clock shows."""
        return [hour for day in self.hours for hour in day if hour.start < hour.end]


def day_of(asked: str, rules: BookingRules) -> date | None:
    """The day that is asked for, like 2026-11-28; today in the zone of the rules when it is empty. None for what is no
    day, or none within a year."""
    today = clock.now().astimezone(ZoneInfo(rules.zone)).date()
    if not asked:
        return today
    try:
        found = date.fromisoformat(asked)
    except ValueError:
        return None
    # Python takes other notations of a day, too.
    return found if found.isoformat() == asked and abs((found - today).days) <= 366 else None


def free_times(rules: BookingRules, first: date, *, days: int = DAYS, user: object = None) -> Week:
    """From the day `first` on. One query, whatever is booked. `user`: the id of who reads."""
    now = clock.now()
    rows = list(open_rows(rules, now))
    windows = read_windows(rules.pool.hours)
    dates = [first + timedelta(days=offset) for offset in range(days)]
    hours = [[_hour(rules, windows, rows, day, hour, now, user) for hour in range(24)] for day in dates]
    return Week(dates, hours, rules.desktops(), next_free_time(rules, rows, now))


def _hour(
    rules: BookingRules, windows: Sequence[Window], rows: Sequence[Booking], day: date, hour: int, now: datetime,
    user: object,
) -> Hour:  # fmt: skip
    begins = _wall(day, hour, rules.zone)
    ends = max(_wall(day, hour + 1, rules.zone), begins)
    near = [row for row in rows if Interval(row.start, row.end).meets(begins, ends)]
    mine = user is not None and any(row.user_id == user for row in near)
    if ends <= now:
        return Hour(begins, ends, past=True, mine=mine)
    start = max(begins, now)
    state = opening(windows, start)
    closed = not state.open or (state.changes is not None and state.changes < ends)
    free = 0 if closed else free_in(intervals(near), start, ends, rules.desktops())
    blocked = any(row.kind == Booking.Kind.BLOCK for row in near)
    return Hour(begins, ends, free, closed=closed, blocked=blocked, mine=mine)


def _wall(day: date, hour: int, zone: str) -> datetime:
    """When clocks show that hour first; 24 is the next day's 0. One that is skipped begins when they go on."""
    day, hour = day + timedelta(days=hour // 24), hour % 24
    return datetime.combine(day, time(hour), tzinfo=ZoneInfo(zone)).astimezone(UTC)
