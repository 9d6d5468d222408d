"""Percentiles by nearest rank: a value that was really measured, not one between two. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil

SHOWN = (50, 90, 95, 99)


def percentile(ordered: Sequence[int], share: float) -> int:
    """The smallest value that at least `share` percent do not exceed. `ordered` is sorted and not empty."""
    return ordered[max(ceil(len(ordered) * share / 100), 1) - 1]


def percentiles(values: Iterable[int]) -> Mapping[int, int]:
    """Those SHOWN; empty without values."""
    ordered = sorted(values)
    return {share: percentile(ordered, share) for share in SHOWN} if ordered else {}
