"""Calls that may hang for ever are made aside, by a few threads that are kept for the next ones.

Whoever begins a call waits for it as long as is good for them. A thread whose call hangs is left to it, and another
takes its place.
"""

import queue
import threading
from collections.abc import Callable

MOST_IDLE = 4  # threads kept in the process


class _Helper:
    def __init__(self) -> None:
        self.work: queue.SimpleQueue[tuple[Callable[[], None], Aside]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="libvirt-aside", daemon=True).start()

    def _run(self) -> None:
        while True:
            work, call = self.work.get()
            try:
                work()
            finally:
                call.over.put(None)
            del work, call
            if len(_idle) >= MOST_IDLE:
                return
            _idle.append(self)


_idle: list[_Helper] = []


class Aside:
    """`work` under way in another thread; it must raise nothing."""

    def __init__(self, work: Callable[[], None]):
        self.over: queue.SimpleQueue[None] = queue.SimpleQueue()
        try:
            helper = _idle.pop()
        except IndexError:
            helper = _Helper()
        helper.work.put((work, self))

    def wait(self, seconds: float) -> bool:
        """Whether it is over within so many seconds. To be called once."""
        try:
            self.over.get(timeout=seconds)
        except queue.Empty:
            return False
        return True
