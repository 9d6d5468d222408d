"""Which backups are kept, and when the next one is due. Pure: moments are aware datetimes, nothing is written."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Entry:
    """A backup as retention sees it."""

    id: UUID
    at: datetime
    parent: UUID | None = None


@dataclass(frozen=True, slots=True)
class Keep:
    """How many are kept: the last ones, and the last one of each of so many days, weeks and months."""

    last: int = 1
    daily: int = 0
    weekly: int = 0
    monthly: int = 0


def kept(entries: Iterable[Entry], keep: Keep, zone: str) -> set[UUID]:
    """The ids that stay: what the rule names, and all that these build on. The newest always stays."""
    place = ZoneInfo(zone)
    newest_first = sorted(entries, key=lambda entry: entry.at, reverse=True)
    chosen = {entry.id for entry in newest_first[: max(keep.last, 1)]}
    for count, period in ((keep.daily, _day), (keep.weekly, _week), (keep.monthly, _month)):
        seen: dict[Any, UUID] = {}
        for entry in newest_first:
            seen.setdefault(period(entry.at.astimezone(place)), entry.id)
        chosen.update(list(seen.values())[:count])
    return _with_parents(chosen, {entry.id: entry.parent for entry in newest_first})


def _with_parents(chosen: set[UUID], parents: dict[UUID, UUID | None]) -> set[UUID]:
    found = set(chosen)
    for one in chosen:
        below = parents.get(one)
        while below is not None and below not in found:
            found.add(below)
            below = parents.get(below)
    return found


def _day(at: datetime) -> Any:
    return at.date()


def _week(at: datetime) -> Any:
    return at.isocalendar()[:2]


def _month(at: datetime) -> Any:
    return (at.year, at.month)


def next_run(days: Collection[int], at: time, zone: str, after: datetime) -> datetime:
    """The first moment after `after` when the wall clocks of `zone` show `at` on one of `days`, in UTC.

    A time that a clock skips in spring comes as much later; one that comes twice counts at its first coming.
    """
    place = ZoneInfo(zone)
    first = after.astimezone(place).date()
    for offset in range(9):
        day = first + timedelta(days=offset)
        moment = datetime.combine(day, at, tzinfo=place).astimezone(UTC)
        if day.weekday() in days and moment > after:
            return moment
    raise ValueError("a schedule without days")
