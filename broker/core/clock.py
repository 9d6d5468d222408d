"""The one place time comes from, so that a simulator can put its own clock in."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

_wall: Callable[[], datetime] = lambda: datetime.now(UTC)  # noqa: E731 - replaced as a value by use()
_steady: Callable[[], float] = time.monotonic


def now() -> datetime:
    """The wall-clock time as an aware UTC datetime."""
    return _wall()


def steady() -> float:
    """Seconds that never jump; for measuring and for leases held in this process."""
    return _steady()


def use(*, wall: Callable[[], datetime], steady_clock: Callable[[], float]) -> None:
    """Replace both clocks (simulator and tests)."""
    global _wall, _steady
    _wall, _steady = wall, steady_clock


def restore() -> None:
    """Go back to the machine's clocks."""
    use(wall=lambda: datetime.now(UTC), steady_clock=time.monotonic)
