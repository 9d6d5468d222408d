"""Send news to other processes from one background thread, so that nobody who commits waits for Redis.

One that comes alone goes at once. While they are many, those of a moment go together: in the morning thousands do.

News may be lost: when the queue is full (Redis is away) or the process ends, readers find out by themselves.
"""

import asyncio
import logging
import os
import threading
from collections import deque
from collections.abc import Iterable
from typing import Any

from channels.layers import get_channel_layer

from broker.core import clock

log = logging.getLogger(__name__)
MOST_WAITING = 5000
MOST_TOGETHER = 200
MANY = 0.5
"""Seconds after a message within which others are many,"""
MOMENT = 0.02
"""and how long they are then gathered."""
COMPLAIN_EVERY = 30.0
GROUP = "news"
Change = tuple[str, str, str]
"""Kind and id of an object, and what became of it."""


def message_of(changes: Iterable[Change]) -> dict[str, Any]:
    """For the channel layer: each change once, in their order."""
    told = [{"kind": kind, "id": id, "change": change} for kind, id, change in dict.fromkeys(changes)]
    return {"type": "news", "changes": told}


class Outbox:
    """One event loop in one daemon thread, made when first needed and anew after a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Change] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._called = asyncio.Event()
        self._pid = 0
        self._complained = float("-inf")

    def send(self, change: Change) -> None:
        """Queue the news; returns at once."""
        with self._lock:
            if self._loop is None or self._pid != os.getpid():
                self._start()
            assert self._loop is not None
            if len(self._waiting) >= MOST_WAITING:
                self._complain("the queue is full")
                return
            self._waiting.append(change)
            if len(self._waiting) == 1:  # else it was called already
                self._loop.call_soon_threadsafe(self._called.set)

    def _start(self) -> None:
        self._pid, self._loop = os.getpid(), asyncio.new_event_loop()
        self._waiting, self._called = deque(), asyncio.Event()
        threading.Thread(target=self._run, args=(self._loop,), name="news", daemon=True).start()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(self._deliver())

    async def _deliver(self) -> None:
        sent = float("-inf")
        while True:
            await self._called.wait()
            self._called.clear()
            if clock.steady() - sent < MANY:
                await asyncio.sleep(MOMENT)
            while changes := self._taken():
                await self._hand_over(changes)
            sent = clock.steady()

    def _taken(self) -> list[Change]:
        with self._lock:
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_TOGETHER))]

    async def _hand_over(self, changes: list[Change]) -> None:
        layer = get_channel_layer()
        if layer is None:
            return
        try:
            await layer.group_send(GROUP, message_of(changes))
        except Exception as error:
            self._complain(repr(error))

    def _complain(self, cause: str) -> None:
        if clock.steady() - self._complained > COMPLAIN_EVERY:
            self._complained = clock.steady()
            log.warning("Live updates are not going out: %s", cause)


OUTBOX = Outbox()
