"""The consoles that run now, whatever engine carries them; how to end one, some or all."""

import threading
from collections.abc import Mapping
from typing import Protocol

from .closing import Closing
from .desk import Alive


class Console(Protocol):
    """One running console as its engine shows it."""

    def alive(self) -> Alive:
        """The session and its byte counts."""
        ...

    def end(self, closing: Closing) -> None:
        """Close both sides with this reason; returns at once, may be called twice and from any thread."""
        ...


class LiveConsoles:
    """Sessions by id. Used by an event loop and by threads alike."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, Console] = {}

    def add(self, session: str, console: Console) -> None:
        with self._lock:
            self._running[session] = console

    def remove(self, session: str) -> None:
        with self._lock:
            self._running.pop(session, None)

    def __len__(self) -> int:
        return len(self._running)

    def all(self) -> list[Console]:
        with self._lock:
            return list(self._running.values())

    def end(self, endings: Mapping[str, Closing]) -> None:
        """End those named, each with its reason; sessions that run elsewhere are passed over."""
        with self._lock:
            ending = [(self._running[session], why) for session, why in endings.items() if session in self._running]
        for console, closing in ending:
            console.end(closing)

    def end_all(self, closing: Closing) -> None:
        for console in self.all():
            console.end(closing)
