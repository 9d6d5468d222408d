"""A channel's messages one by one: a mini header (kind, size) and that many bytes."""

import struct
from collections.abc import Callable
from enum import Enum, auto

from . import SpiceError

_HEADER = struct.Struct("<HI")
MOST_TAKEN = 64 * 1024
"""The longest message that is looked into; longer ones pass or are dropped without being kept."""


class Verdict(Enum):
    """What becomes of a message, said when its header is known."""

    PASS = auto()
    DROP = auto()
    TAKE = auto()


class Messages:
    """Cuts a stream into messages and lets through what `judge` wants.

    `judge` sees the kind; a message that it takes is collected and handed to `change`, which returns the body to
    send on, or None for nothing. Of other messages no byte is kept.
    """

    def __init__(self, judge: Callable[[int], Verdict], change: Callable[[int, bytes], bytes | None]):
        self._judge, self._change = judge, change
        self._header, self._body = bytearray(), bytearray()
        self._verdict, self._kind, self._left = Verdict.PASS, 0, 0
        self._within = False

    def feed(self, data: bytes) -> bytes:
        """Take bytes; returns those that go on. Raises SpiceError for a taken message beyond all measure."""
        out, at = bytearray(), 0
        while at < len(data):
            if not self._within:
                wanted = _HEADER.size - len(self._header)
                self._header += data[at : at + wanted]
                at += wanted
                if len(self._header) == _HEADER.size:
                    out += self._begin()
                continue
            piece = data[at : at + self._left]
            at += len(piece)
            self._left -= len(piece)
            if self._verdict is Verdict.PASS:
                out += piece
            elif self._verdict is Verdict.TAKE:
                self._body += piece
            if not self._left:
                out += self._end()
        return bytes(out)

    def _begin(self) -> bytes:
        self._kind, self._left = _HEADER.unpack(self._header)
        self._verdict = self._judge(self._kind)
        if self._verdict is Verdict.TAKE and self._left > MOST_TAKEN:
            raise SpiceError("a message too long to be looked into")
        first = bytes(self._header) if self._verdict is Verdict.PASS else b""
        self._header.clear()
        self._within = True
        return first if self._left else first + self._end()

    def _end(self) -> bytes:
        self._within = False
        if self._verdict is not Verdict.TAKE:
            return b""
        changed = self._change(self._kind, bytes(self._body))
        self._body.clear()
        return b"" if changed is None else _HEADER.pack(self._kind, len(changed)) + changed
