"""Times of the week: when a rule counts, when a pool is open. Pure; moments are aware datetimes.

A window is a run of local time on certain weekdays, in a zone of its own. It begins and ends where a clock on the
wall says so: where an hour is skipped in spring, a time inside it is taken as much later; where an hour comes twice
in autumn, a window begins at its first and ends at its second coming. A window whose end is not after its start
goes on to the next day.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_

MOST_RULES = 50
LOOKED_AHEAD = 8  # days: every window comes round within a week


@dataclass(frozen=True, slots=True)
class Window:
    """`days`: weekdays on which it begins, Monday is 0."""

    days: frozenset[int]
    start: time
    end: time
    zone: str = "UTC"

    def spans(self, at: datetime) -> Iterator[tuple[datetime, datetime]]:
        """When it is, from two days before `at` to some days after, in UTC and in order; empty ones are left out."""
        zone = ZoneInfo(self.zone)
        first = at.astimezone(zone).date() - timedelta(days=2)
        for offset in range(LOOKED_AHEAD + 4):
            day = first + timedelta(days=offset)
            if day.weekday() not in self.days:
                continue
            last = day if self.end > self.start else day + timedelta(days=1)
            begins = datetime.combine(day, self.start, tzinfo=zone).astimezone(UTC)
            # The second of two, and where the hour is skipped the reading that is not before it.
            ends = max(
                datetime.combine(last, self.end.replace(fold=fold), tzinfo=zone).astimezone(UTC) for fold in (0, 1)
            )
            if begins < ends:
                yield begins, ends

    def covers(self, at: datetime) -> bool:
        """Whether it is at that moment."""
        return any(begins <= at < ends for begins, ends in self.spans(at))


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many desktops there are to be, and of the free ones how many run or lie suspended."""

    size: int
    prestarted: int = 0
    suspended: int = 0

    def fitting(self) -> "Sizes":
        """The same, with no more ready than there are: running ones come first."""
        prestarted = min(self.prestarted, self.size)
        return Sizes(self.size, prestarted, min(self.suspended, self.size - prestarted))


@dataclass(frozen=True, slots=True)
class Rule:
    """Other numbers during a window; None leaves the number as it is."""

    window: Window
    size: int | None = None
    prestarted: int | None = None
    suspended: int | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """Whether it is open, and when that changes; None: not within a week."""

    open: bool
    changes: datetime | None = None


def sizes_at(base: Sizes, rules: Iterable[Rule], at: datetime) -> Sizes:
    """The numbers at that moment. A rule replaces the pool's own while it counts; of several, the largest wins."""
    counting = [rule for rule in rules if rule.window.covers(at)]
    found = {}
    for field in fields(Sizes):
        given = [value for rule in counting if (value := getattr(rule, field.name)) is not None]
        found[field.name] = max(given) if given else getattr(base, field.name)
    return Sizes(**found).fitting()


def opening(windows: Sequence[Window], at: datetime) -> Opening:
    """Without windows it is always open. Windows that touch or overlap are one."""
    if not windows:
        return Opening(True)
    end = at
    spans = sorted(span for window in windows for span in window.spans(at))
    for begins, ends in spans:
        if begins <= end < ends:
            end = ends
    if end == at:
        return Opening(False, next((begins for begins, _ in spans if begins > at), None))
    return Opening(True, end if end < at + timedelta(days=LOOKED_AHEAD) else None)


# -- as kept with the pool -----------------------------------------------------------------------------------


@cache
def zones() -> frozenset[str]:
    """The IANA names that are known here."""
    return frozenset(available_timezones() - {"localtime", "Factory"})


def checked_zone(value: Any, *, field: str = "zone") -> str:
    """Raises Invalid for anything but the name of a known time zone."""
    if not isinstance(value, str) or value not in zones():
        raise Invalid(N_("There is no such time zone."), field=field, fix=N_("Use a name like Europe/Berlin or UTC."))
    return value


def read_windows(rows: Sequence[Mapping[str, Any]]) -> list[Window]:
    """Opening hours as the pool keeps them, already checked."""
    return [_window(row) for row in rows]


def read_rules(rows: Sequence[Mapping[str, Any]]) -> list[Rule]:
    """A schedule as the pool keeps it, already checked."""
    return [Rule(_window(row), row.get("size"), row.get("prestarted"), row.get("suspended")) for row in rows]


def _window(row: Mapping[str, Any]) -> Window:
    return Window(frozenset(row["days"]), time.fromisoformat(row["start"]), time.fromisoformat(row["end"]), row["zone"])


def checked_hours(value: Any) -> list[dict[str, Any]]:
    """Opening hours as they may be kept: `days`, `start`, `end`, `zone`. Raises Invalid."""
    return [_checked_window(row, "hours", frozenset()) for row in _rows(value, "hours")]


def checked_schedule(value: Any, *, largest: int) -> list[dict[str, Any]]:
    """A schedule as it may be kept: a window with `size`, `prestarted` and `suspended` each. Raises Invalid."""
    numbers = ("size", "prestarted", "suspended")
    found = []
    for row in _rows(value, "schedule"):
        checked = _checked_window(row, "schedule", frozenset(numbers))
        for name in numbers:
            given = row.get(name)
            if given is not None and not (type(given) is int and 0 <= given <= largest):
                raise Invalid(
                    N_("A rule's number is no whole number that a pool can have."), field="schedule",
                    fix=N_("Use 0 to %(largest)s, or leave it empty."), largest=largest,
                )  # fmt: skip
            checked[name] = given
        if all(checked[name] is None for name in numbers):
            raise Invalid(
                N_("A rule says nothing."), field="schedule", fix=N_("Give it a size or how many are kept ready.")
            )
        found.append(checked)
    return found


def _rows(value: Any, field: str) -> list[Mapping[str, Any]]:
    if not isinstance(value, list | tuple) or not all(isinstance(row, Mapping) for row in value):
        raise Invalid(N_("This is no list of times."), field=field, fix=N_("Give a list of objects."))
    if len(value) > MOST_RULES:
        raise Invalid(N_("These are too many times."), field=field, fix=N_("Give at most %(most)s."), most=MOST_RULES)
    return list(value)


def _checked_window(row: Mapping[str, Any], field: str, more: frozenset[str]) -> dict[str, Any]:
    if unknown := sorted(str(name) for name in row.keys() - more - {"days", "start", "end", "zone"}):
        raise Invalid(
            N_("A time has nothing called “%(what)s”."), field=field,
            fix=N_("Leave it out."), what=unknown[0][:64],
        )  # fmt: skip
    days = row.get("days")
    if not isinstance(days, list | tuple) or not days or not all(type(day) is int and 0 <= day <= 6 for day in days):
        raise Invalid(
            N_("A time has no weekdays."), field=field, fix=N_("Give at least one: 0 is Monday, 6 is Sunday.")
        )
    return {
        "days": sorted(set(days)),
        "start": _checked_time(row.get("start"), field),
        "end": _checked_time(row.get("end"), field),
        "zone": checked_zone(row.get("zone", "UTC"), field=field),
    }


def _checked_time(value: Any, field: str) -> str:
    try:
        found = value if isinstance(value, time) else time.fromisoformat(value)
    except (TypeError, ValueError):
        found = None
    if found is None or found.tzinfo is not None:
        raise Invalid(N_("This is no time of day."), field=field, fix=N_("Write it like 08:30."))
    return found.strftime("%H:%M")
