"""How many desktops will be in use: from the last weeks, by weekday and hour of a zone's clock. Pure.

The sample of an hour is the most desktops that were in use at once during it. What is expected is a high percentile
of the same hour's samples. Where an hour has too few, those of similar days (workdays, or the weekend) count, and
where these are too few as well, those of all days: a pool that is a week old is foreseen too, only more roughly.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

WEEKS = 6
PERCENTILE = 0.9
ENOUGH = 3  # samples
HOUR = timedelta(hours=1)
LEAD = timedelta(minutes=30)  # desktops are made ready this long before they are expected to be needed

Basis = Literal["hour", "similar days", "all days", "nothing"]


@dataclass(frozen=True, slots=True)
class Use:
    """A desktop was somebody's, until then or still."""

    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """What is expected in one hour of one weekday, from how many samples, and of what."""

    expected: int = 0
    samples: int = 0
    basis: Basis = "nothing"


@dataclass(frozen=True, slots=True)
class Forecast:
    """`cells[weekday][hour]`, Monday first, hours as clocks in `zone` show them."""

    cells: tuple[tuple[Cell, ...], ...]
    zone: str

    def at(self, moment: datetime) -> Cell:
        local = moment.astimezone(ZoneInfo(self.zone))
        return self.cells[local.weekday()][local.hour]

    def soon(self, moment: datetime) -> int:
        """The most that is expected from `moment` until `LEAD` later."""
        return max(self.at(moment).expected, self.at(moment + LEAD).expected)


def peaks(uses: Iterable[Use], start: datetime, end: datetime) -> list[int]:
    """The most uses at once within each full hour from `start` on; one that only touches an hour does not count."""
    hours = max(int((end - start) / HOUR), 0)
    changes: dict[datetime, int] = defaultdict(int)
    for use in uses:
        begins, ends = max(use.since, start), min(use.until or end, end)
        if begins < ends:
            changes[begins] += 1
            changes[ends] -= 1
    moments = sorted(changes)
    found, present, index = [], 0, 0
    for hour in range(hours):
        edge = start + hour * HOUR
        while index < len(moments) and moments[index] <= edge:
            present += changes[moments[index]]
            index += 1
        most = present
        while index < len(moments) and moments[index] < edge + HOUR:
            present += changes[moments[index]]
            most = max(most, present)
            index += 1
        found.append(most)
    return found


def percentile(samples: Sequence[int], share: float) -> int:
    """The smallest sample that at least `share` of them do not exceed; of none, 0."""
    if not samples:
        return 0
    ordered = sorted(samples)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


def forecast(
    uses: Iterable[Use],
    *,
    now: datetime,
    since: datetime,
    zone: str = "UTC",
    weeks: int = WEEKS,
    share: float = PERCENTILE,
) -> Forecast:
    """What to expect, from the last `weeks` weeks, though nothing before `since` (when the pool was made)."""
    local = ZoneInfo(zone)
    end = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    first = max(end - timedelta(weeks=weeks), since.astimezone(UTC))
    start = first.replace(minute=0, second=0, microsecond=0)
    samples: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, most in enumerate(peaks(uses, start, end)):
        # The middle, because zones exist whose hours begin at half past.
        moment = (start + number * HOUR + HOUR / 2).astimezone(local)
        samples[moment.weekday(), moment.hour].append(most)
    return Forecast(tuple(tuple(_cell(samples, day, hour, share) for hour in range(24)) for day in range(7)), zone)


def _cell(samples: dict[tuple[int, int], list[int]], day: int, hour: int, share: float) -> Cell:
    days: dict[Basis, Iterable[int]] = {
        "hour": (day,),
        "similar days": range(5) if day < 5 else range(5, 7),
        "all days": range(7),
    }
    found: list[int] = []
    for basis, which in days.items():
        found = [value for one in which for value in samples.get((one, hour), ())]
        if len(found) >= ENOUGH:
            return Cell(percentile(found, share), len(found), basis)
    return Cell(max(found, default=0), len(found), "all days" if found else "nothing")
