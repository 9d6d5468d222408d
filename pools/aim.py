"""What to aim at now: the pool's own numbers, changed by its schedule and raised by its forecast. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from .calendar import Rule, Sizes, sizes_at
from .forecast import Forecast


@dataclass(frozen=True, slots=True)
class Aim:
    """`scheduled`: a rule counts now. `foreseen`: how many the forecast expects in use, None when it has no say."""

    sizes: Sizes
    scheduled: bool = False
    foreseen: int | None = None


def aim(
    base: Sizes, rules: Sequence[Rule], at: datetime, *, foreseen: Forecast | None = None, in_use: int = 0, due: int = 0
) -> Aim:
    """The forecast only raises how many run and wait: to as many as are expected beyond those in use, within the size.

    `in_use`: how many desktops somebody has at that moment. `due`: how many more bookings want that begin soon; those
    are there and run, whatever the schedule says, but never more than the pool has by its own numbers or its schedule.
    """
    sizes = _with_booked(sizes_at(base, rules, at), base, in_use, due)
    scheduled = any(rule.window.covers(at) for rule in rules)
    if foreseen is None:
        return Aim(sizes, scheduled)
    expected = foreseen.soon(at)
    ready = max(sizes.prestarted, min(expected - in_use, sizes.size - in_use))
    return Aim(replace(sizes, prestarted=ready).fitting(), scheduled, expected)


def _with_booked(sizes: Sizes, base: Sizes, in_use: int, due: int) -> Sizes:
    if not due:
        return sizes
    size = max(sizes.size, min(in_use + due, base.size))
    ready = max(sizes.prestarted, min(due, size - in_use))
    return replace(sizes, size=size, prestarted=ready).fitting()
