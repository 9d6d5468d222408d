"""Waiting for what a host does meanwhile."""

import time
from collections.abc import Callable


def until(true: Callable[[], bool], timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.05)
