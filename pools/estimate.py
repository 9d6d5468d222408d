"""When will a desktop be free for who is first, second, … in the queue? Pure; all times in seconds from now.

Desktops that are being made or reset come one by one, as long from now as such work was measured to take. When
those in use come back nobody knows; but from how long people kept theirs before follows how many are to be expected
by when. The estimate for the n-th place is the time by which n desktops are to be expected;
where more wait than there are desktops, those who come first are expected to give theirs back after the usual time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

FEW = 3  # past stays below which nothing is said about a present one


@dataclass(frozen=True, slots=True)
class Supply:
    """What desktops can come from.

    `coming`: seconds until each that is being made or reset. `unmade`: how many are still to be made, `at_once` of
    them together in `making` seconds; None when that was never measured. `held`: for how long each desktop in use
    has been so; `stays`: for how long desktops were kept in the past; `turnover`: from given back to usable again.
    """

    coming: Sequence[float] = ()
    unmade: int = 0
    at_once: int = 1
    making: float | None = None
    held: Sequence[float] = ()
    stays: Sequence[float] = ()
    turnover: float = 0.0


def arrivals(supply: Supply, most: int) -> tuple[float, ...]:
    """By when the first, the second, … desktop is to be expected: at most `most`, fewer when no more are in sight."""
    events = [(max(seconds, 0.0), 1.0) for seconds in supply.coming]
    if supply.making is not None:
        at_once = max(supply.at_once, 1)
        # What is under way takes the first places; a wave of new ones comes after each time of making.
        waves = ((index + len(supply.coming)) // at_once + 1 for index in range(min(supply.unmade, most)))
        events += [(wave * supply.making, 1.0) for wave in waves]
    ordered = sorted(supply.stays)
    for age in supply.held:
        longer = [stay for stay in ordered if stay > age]
        if len(longer) >= FEW:
            events += [(stay - age + supply.turnover, 1.0 / len(longer)) for stay in longer]
    turns: list[float] = []
    expected = 0.0
    for seconds, share in sorted(events):
        expected += share
        while expected >= len(turns) + 1 - 1e-9:
            turns.append(seconds)
    return _again(turns, supply, most)


def _again(turns: list[float], supply: Supply, most: int) -> tuple[float, ...]:
    """The first `most` of `turns`, which are in order; who gets one keeps it as long as usual and gives it back too."""
    stay = median(supply.stays) if len(supply.stays) >= FEW else None
    found: list[float] = []
    while turns and len(found) < most:
        found.append(heappop(turns))
        if stay is not None:
            heappush(turns, found[-1] + stay + supply.turnover)
    return tuple(found)


def median(values: Sequence[float]) -> float | None:
    """The middle one, of an even number the larger of the two; None of none."""
    return sorted(values)[len(values) // 2] if values else None
