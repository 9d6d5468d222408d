"""Cuts a SPICE channel into pieces that end where a message ends, so that each is a TLS record of its own.

spice-gtk waits for its socket before it reads the next message, and does not see one that came in the same TLS record
as the one before: it would wait until something else comes. SPICE servers write message by message, so nobody noticed.
"""

import struct
from collections.abc import Iterator

_LINK = struct.Struct("<12xI")
_RESULT = 4
_MESSAGE = struct.Struct("<2xI")


class Records:
    """Feed it what goes to the client: the link reply, the verdict, then messages with mini headers."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._left = 0
        self._stage = self._reply

    def cut(self, data: bytes) -> Iterator[bytes]:
        """The same bytes; a piece holds the end of one message and the beginning of the next never."""
        at, view = 0, memoryview(data)
        while at < len(data):
            begun = at
            while at < len(data):
                if self._left:
                    taken = min(self._left, len(data) - at)
                    self._left -= taken
                    at += taken
                    if not self._left:
                        break
                else:
                    at = self._stage(data, at)
                    if not self._header and not self._left:
                        break
            yield data if at - begun == len(data) else bytes(view[begun:at])

    def _reply(self, data: bytes, at: int) -> int:
        at = self._fill(data, at, _LINK.size)
        if len(self._header) == _LINK.size:
            (self._left,) = _LINK.unpack(self._header)
            self._header.clear()
            self._stage = self._verdict
        return at

    def _verdict(self, data: bytes, at: int) -> int:
        at = self._fill(data, at, _RESULT)
        if len(self._header) == _RESULT:
            self._header.clear()
            self._stage = self._message
        return at

    def _message(self, data: bytes, at: int) -> int:
        at = self._fill(data, at, _MESSAGE.size)
        if len(self._header) == _MESSAGE.size:
            (self._left,) = _MESSAGE.unpack(self._header)
            self._header.clear()
        return at

    def _fill(self, data: bytes, at: int, size: int) -> int:
        wanted = size - len(self._header)
        self._header += data[at : at + wanted]
        return min(at + wanted, len(data))
