"""Send news to other processes from one background thread, so that nobody who commits waits for Redis.

News may be lost: when the queue is full (Redis is away) or the process ends, readers find out by themselves.
"""

import asyncio
import logging
import os
import threading
from typing import Any

from channels.layers import get_channel_layer

from broker.core import clock

log = logging.getLogger(__name__)
MOST_WAITING = 5000
COMPLAIN_EVERY = 30.0


class Outbox:
    """One event loop in one daemon thread, made when first needed and anew after a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: asyncio.Queue[tuple[str, dict[str, Any]]] | None = None
        self._pid = 0
        self._complained = float("-inf")

    def send(self, group: str, message: dict[str, Any]) -> None:
        """Queue the message; returns at once."""
        with self._lock:
            if self._loop is None or self._pid != os.getpid():
                self._start()
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._put, group, message)

    def _start(self) -> None:
        self._pid, self._loop, self._queue = os.getpid(), asyncio.new_event_loop(), asyncio.Queue(MOST_WAITING)
        threading.Thread(target=self._run, args=(self._loop, self._queue), name="news", daemon=True).start()

    def _put(self, group: str, message: dict[str, Any]) -> None:
        assert self._queue is not None
        try:
            self._queue.put_nowait((group, message))
        except asyncio.QueueFull:
            self._complain("the queue is full")

    def _run(self, loop: asyncio.AbstractEventLoop, queue: "asyncio.Queue[tuple[str, dict[str, Any]]]") -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(self._deliver(queue))

    async def _deliver(self, queue: "asyncio.Queue[tuple[str, dict[str, Any]]]") -> None:
        while True:
            group, message = await queue.get()
            layer = get_channel_layer()
            if layer is None:
                continue
            try:
                await layer.group_send(group, message)
            except Exception as error:
                self._complain(repr(error))

    def _complain(self, cause: str) -> None:
        if clock.steady() - self._complained > COMPLAIN_EVERY:
            self._complained = clock.steady()
            log.warning("Live updates are not going out: %s", cause)


OUTBOX = Outbox()
