"""The one place time comes from, so that a simulator can put its own clock in.

Managers on several machines go by one clock, their database's (broker/jobs/shared_clock.py), and a jump of a machine's
own clock moves nothing.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

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
    global _followed
    _followed = None
    use(wall=_own, steady_clock=time.monotonic)


def follow(at: datetime) -> None:
    """Have `now` go on from `at`, which is now by a clock that several machines share; not where `use` put another."""
    global _wall, _followed
    if _wall in (_own, _after):
        _followed = at - timedelta(seconds=time.monotonic())
        _wall = _after


def _own() -> datetime:
    return datetime.now(UTC)


def _after() -> datetime:
    assert _followed is not None
    return _followed + timedelta(seconds=time.monotonic())


_wall: Callable[[], datetime] = _own
_followed: datetime | None = None
