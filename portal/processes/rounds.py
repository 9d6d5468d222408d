"""The duties where everything runs in one process: done by threads of their own, without a message to a worker.

Each duty holds its row as everywhere (broker/jobs/duties.py), so another manager beside this one is harmless.
"""

import heapq
import logging
import threading

from django.db import connections

from broker.celery import DUTIES
from broker.core import clock
from broker.jobs import duties, idle_line

log = logging.getLogger(__name__)
STOP_SECONDS = 3.0


class Rounds:
    """`threads` duties at once; one that takes longer than its interval is not run twice, nor made up for."""

    def __init__(self, *, threads: int = 2):
        begin = clock.steady()
        self._due = sorted((begin + every, name) for name, (every, _) in DUTIES.items())  # a heap
        self._changed, self._stopping = threading.Condition(), False
        self._threads = [
            threading.Thread(target=self._work, name=f"duties-{number}", daemon=True) for number in range(threads)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin nothing more; a duty that is not done in time goes with the process, and comes round again."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        until = clock.steady() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(until - clock.steady(), 0.0))

    @property
    def alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        try:
            while (taken := self._next()) is not None:
                at, name = taken
                every, path = DUTIES[name]
                try:
                    duties.run(name, path, every)
                except Exception:
                    log.exception("Duty %s could not be begun; it comes round again", name)
                idle_line.rest()
                self._comes_back((max(at + every, clock.steady()), name))
        finally:
            connections.close_all()

    def _next(self) -> tuple[float, str] | None:
        """The duty that is due first, once it is; None when told to stop."""
        with self._changed:
            while not self._stopping:
                left = self._due[0][0] - clock.steady() if self._due else None
                if left is not None and left <= 0:
                    return heapq.heappop(self._due)
                self._changed.wait(left)
        return None

    def _comes_back(self, one: tuple[float, str]) -> None:
        with self._changed:
            heapq.heappush(self._due, one)
            if self._due[0] is one:
                self._changed.notify()  # the others wait for one that is due later
