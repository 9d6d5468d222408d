"""Have a pool looked at soon: a message to a worker, at most some a second for each pool and process.

Losing one costs latency only: the duty comes round.
"""

import logging
import os
import threading
from uuid import UUID

from django.db import transaction

from broker.core import clock

log = logging.getLogger(__name__)
GAP = 0.4  # seconds between two messages about one pool


class Waker:
    """The first call sends at once; calls within GAP of it share one message at its end, unless one cannot wait."""

    def __init__(self) -> None:
        self._lock, self._pid = threading.Lock(), os.getpid()
        self._sent: dict[UUID, float] = {}
        self._waiting: dict[UUID, threading.Timer] = {}

    def wake(self, pool_id: UUID, *, at_once: bool = False) -> None:
        """`at_once`: nothing more is to come that it could wait for."""
        with self._lock:
            if self._pid != os.getpid():  # timers do not survive a fork
                self._pid, self._sent, self._waiting = os.getpid(), {}, {}
            rest = self._sent.get(pool_id, float("-inf")) + GAP - clock.steady()
            if at_once and pool_id in self._waiting:
                self._waiting.pop(pool_id).cancel()
            elif pool_id in self._waiting:
                return
            elif rest > 0 and not at_once:
                timer = self._waiting[pool_id] = threading.Timer(rest, self._send_late, (pool_id,))
                timer.daemon = True
                timer.start()
                return
            self._sent[pool_id] = clock.steady()
        send(pool_id)

    def _send_late(self, pool_id: UUID) -> None:
        with self._lock:
            self._waiting.pop(pool_id, None)
            self._sent[pool_id] = clock.steady()
        try:
            send(pool_id)
        except Exception:
            log.exception("Could not have pool %s looked at; the duty comes round", pool_id)


WAKER = Waker()


def send(pool_id: UUID) -> None:
    """One message to a worker."""
    from .tasks import reconcile_pool

    reconcile_pool.apply_async(args=(str(pool_id),), ignore_result=True)


def wake(pool_id: UUID) -> None:
    """Have the pool looked at once the present transaction is committed."""
    transaction.on_commit(lambda: WAKER.wake(pool_id), robust=True)
