"""A few daemon threads for questions that may take seconds, so that nobody who must be quick asks them."""

import logging
import queue
import threading
from collections.abc import Callable, Hashable

from django.db import connections

from broker.core.errors import BerthError

log = logging.getLogger(__name__)


class Chores:
    """At most `threads` chores at once, threads started when first needed; one chore a key."""

    def __init__(self, name: str, *, threads: int = 2):
        self.name, self.most = name, threads
        self._queue: queue.SimpleQueue[tuple[Hashable, Callable[[], None]] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting: set[Hashable] = set()
        self._threads: list[threading.Thread] = []
        self._stopped = False

    def add(self, key: Hashable, chore: Callable[[], None]) -> None:
        """Do `chore` soon, unless one with this key is waiting or under way."""
        with self._lock:
            if self._stopped or key in self._waiting:
                return
            self._waiting.add(key)
            if len(self._threads) < min(self.most, len(self._waiting)):
                self._threads.append(
                    threading.Thread(target=self._work, name=f"{self.name}-{len(self._threads)}", daemon=True)
                )
                self._threads[-1].start()
        self._queue.put((key, chore))

    def stop(self) -> None:
        """Let the threads end after what they are at; what waits is dropped."""
        with self._lock:
            self._stopped = True
        for _ in self._threads:
            self._queue.put(None)

    def _work(self) -> None:
        try:
            while (item := self._queue.get()) is not None and not self._stopped:
                key, chore = item
                try:
                    chore()
                except BerthError as error:
                    log.debug("%s: %s", self.name, error)
                except Exception:
                    log.exception("%s: a chore failed; it comes round again", self.name)
                finally:
                    with self._lock:
                        self._waiting.discard(key)
        finally:
            connections.close_all()
