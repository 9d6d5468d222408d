"""The bytes of a recording, pulled as they are needed; and what time it is at each."""

import struct
from collections.abc import Callable, Iterator

from broker.connections.recording.format import Entry, Unfinished

from . import Unreadable

MOST = 64 * 1024 * 1024
"""No part of a message is longer."""


class Over(Exception):
    """The recording has ended."""


class Source:
    """`before` is told the time of each piece before any byte of it is used.

    Without `whole` a missing end is an end; what is not genuine raises Damaged in any case.
    """

    def __init__(self, entries: Iterator[Entry], before: Callable[[int], None], *, whole: bool):
        self.at = 0
        self._entries, self._before, self._whole = entries, before, whole
        self._buffer = bytearray()

    def take(self, count: int) -> bytes:
        """Raises Over, Unreadable, Damaged."""
        if count > MOST:
            raise Unreadable("a part of a message that is longer than any may be")
        while len(self._buffer) < count:
            self._pull()
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def skip(self, count: int) -> None:
        while count > 0:
            count -= len(self.take(min(count, 65536)))

    def numbers(self, layout: str) -> tuple[int, ...]:
        """Big-endian numbers, as struct writes them."""
        layout = f">{layout}"
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def number(self, layout: str) -> int:
        return self.numbers(layout)[0]

    def _pull(self) -> None:
        try:
            entry = next(self._entries)
        except StopIteration:
            raise Over from None
        except Unfinished:
            if self._whole:
                raise
            raise Over from None
        self._before(entry.at)
        self.at = entry.at
        self._buffer += entry.data
