"""How many desktops are booked when, and when one more fits: pure arithmetic over intervals.

An interval holds its beginning and not its end: what ends at ten leaves room for what begins at ten. Moments are aware
datetimes; `capacity` is how many desktops can be booked at once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

ALL = 1_000_000
"""The weight of a time that is blocked: more than any pool has."""


@dataclass(frozen=True, slots=True)
class Interval:
    """`weight`: how many desktops it takes."""

    start: datetime
    end: datetime
    weight: int = 1

    def meets(self, start: datetime, end: datetime) -> bool:
        return self.start < end and start < self.end and start < end


def peak(taken: Iterable[Interval], start: datetime, end: datetime) -> int:
    """The most that is taken at one instant from `start` until before `end`; 0 for an empty time."""
    if end <= start:
        return 0
    near = [one for one in taken if one.meets(start, end)]
    moments = {start, *(one.start for one in near if one.start > start)}
    return max((sum(one.weight for one in near if one.start <= at < one.end) for at in moments), default=0)


def fits(taken: Iterable[Interval], start: datetime, end: datetime, capacity: int) -> bool:
    """Whether one more fits."""
    return peak(taken, start, end) < capacity


def free_in(taken: Iterable[Interval], start: datetime, end: datetime, capacity: int) -> int:
    """How many more fit over all of that time."""
    return max(capacity - peak(taken, start, end), 0)


def free_until(taken: Sequence[Interval], start: datetime, latest: datetime, capacity: int) -> datetime:
    """Until when one more fits that begins at `start`: `latest` at the most, `start` itself when none fits."""
    edges = sorted({one.start for one in taken if start < one.start < latest})
    for at in (start, *edges):
        if sum(one.weight for one in taken if one.start <= at < one.end) >= capacity:
            return at
    return max(latest, start)


def next_free(
    taken: Sequence[Interval], after: datetime, until: datetime, length: timedelta, capacity: int
) -> datetime | None:
    """The first moment from `after` at which one more of this length fits and begins before `until`."""
    if length <= timedelta(0) or capacity < 1:
        return None
    for at in sorted({after, *(one.end for one in taken if after < one.end < until)}):
        if at < until and fits(taken, at, at + length, capacity):
            return at
    return None
