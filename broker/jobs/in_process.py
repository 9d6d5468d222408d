"""Celery's messages inside one process: like kombu's memory transport, but who waits for one is told of it.

kombu's own looks a hundred times a second whether something has come. Here a consumer sleeps until a message is put, or
until one that was taken is settled (which may be what it waits for: it takes only so many at once).
"""

import threading
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, memory
from kombu.transport.virtual import Empty

from broker.core import clock


class _News:
    """Counts what happened, so that nothing is missed between looking and waiting."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.count = 0

    def tell(self) -> None:
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait(self, seen: int, seconds: float | None) -> bool:
        """Whether anything happened since `seen`, or does within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self.count != seen, seconds)


NEWS = _News()


class Channel(memory.Channel):  # type: ignore[misc]  # kombu is untyped
    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        super()._put(queue, message, **kwargs)
        NEWS.tell()

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        super().basic_ack(delivery_tag, multiple)
        NEWS.tell()

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        super().basic_reject(delivery_tag, requeue)
        NEWS.tell()


class Transport(memory.Transport):  # type: ignore[misc]
    Channel = Channel

    cycle: Any

    def drain_events(self, connection: Any, timeout: float | None = None, **kwargs: Any) -> None:
        """Deliver one message; raises TimeoutError when none comes in time."""
        until = None if timeout is None else clock.steady() + timeout
        while True:
            seen = NEWS.count
            try:
                self.cycle.get(self._deliver, timeout=timeout)
                return
            except Empty:
                left = None if until is None else until - clock.steady()
                if (left is not None and left <= 0) or not NEWS.wait(seen, left):
                    raise TimeoutError from None


def begin() -> None:
    """Let kombu know the address."""
    TRANSPORT_ALIASES["inside"] = f"{__name__}:Transport"
