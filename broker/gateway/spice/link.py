"""The link handshake with which every SPICE channel begins: the client's message and the hypervisor's reply.

The gateway reads both and changes neither. The ticket that follows, encrypted for the hypervisor's key, goes through
as it is: behind the gateway's own ticket the hypervisor asks for none, and what the client puts there is empty.
"""

import struct
from dataclasses import dataclass, field

from . import KNOWN, SpiceError

MAGIC = b"REDQ"
MAJOR = 2
OK, PERMISSION_DENIED = 0, 7
AUTH_SELECTION, MINI_HEADER = 1 << 0, 1 << 3
_HEADER = struct.Struct("<4sIII")
_MESSAGE = struct.Struct("<IBBIII")
_REPLY = struct.Struct("<I162sIII")
_RESULT = struct.Struct("<I")
_MOST = 4096
"""A link message is 22 bytes, a reply 186; both grow by four bytes a capability word."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a client asks for: the channel `kind` with its `number`, belonging to `connection` (0: a new one)."""

    connection: int
    kind: int
    number: int
    capabilities: int
    raw: bytes = field(repr=False)


class LinkReader:
    """One message of a link handshake, however it is cut into pieces. `rest` holds what came after it."""

    def __init__(self, least: int) -> None:
        self.body: bytes | None = None
        self.raw, self.rest = b"", b""
        self._least, self._buffer = least, bytearray()

    def receive(self, data: bytes) -> bool:
        """Take bytes; whether the message is complete. Raises SpiceError."""
        self._buffer += data
        have = bytes(self._buffer[: len(MAGIC)])
        if not MAGIC.startswith(have):
            raise SpiceError("not SPICE")
        if len(self._buffer) < _HEADER.size:
            return False
        _, major, _, size = _HEADER.unpack_from(self._buffer)
        if major != MAJOR:
            raise SpiceError("another version of SPICE")
        if not self._least <= size <= _MOST:
            raise SpiceError("a link message of an impossible size")
        end = _HEADER.size + size
        if len(self._buffer) < end:
            return False
        self.raw, self.rest = bytes(self._buffer[:end]), bytes(self._buffer[end:])
        self.body = self.raw[_HEADER.size :]
        self._buffer.clear()
        return True


class ClientLink:
    """Feed it what a client sends first; `link` is set when its message is complete."""

    def __init__(self) -> None:
        self.link: Link | None = None
        self._reader = LinkReader(_MESSAGE.size)

    def receive(self, data: bytes) -> Link | None:
        """Raises SpiceError, also for what comes before the reply: nothing of a client's may."""
        if self.link is not None:
            raise SpiceError("the client spoke before the reply")
        if not self._reader.receive(data):
            return None
        if self._reader.rest:
            raise SpiceError("the client spoke before the reply")
        body = self._reader.body or b""
        connection, kind, number, common, channel, offset = _MESSAGE.unpack_from(body)
        if kind not in KNOWN:
            raise SpiceError("a channel nobody knows")
        capabilities = _capabilities(body, offset, common, channel)
        if not capabilities & MINI_HEADER:
            raise SpiceError("a client that speaks no mini headers")
        self.link = Link(connection, kind, number, capabilities, self._reader.raw)
        return self.link


class ServerLink:
    """Feed it what the hypervisor answers: its reply and, after the ticket, its verdict."""

    def __init__(self) -> None:
        self.accepted = False
        self.capabilities = 0
        self._reader = LinkReader(_REPLY.size)
        self._result = bytearray()

    def receive(self, data: bytes) -> bytes:
        """Returns what came after the verdict. Raises SpiceError, also when the hypervisor says no."""
        if self._reader.body is None:
            if not self._reader.receive(data):
                return b""
            error, _key, common, channel, offset = _REPLY.unpack_from(self._reader.body or b"")
            if error != OK:
                raise SpiceError(f"the hypervisor refused the channel: {error}")
            self.capabilities = _capabilities(self._reader.body or b"", offset, common, channel)
            if not self.capabilities & MINI_HEADER:
                raise SpiceError("a hypervisor that speaks no mini headers")
            data = self._reader.rest
        self._result += data
        if len(self._result) < _RESULT.size:
            return b""
        if _RESULT.unpack_from(self._result)[0] != OK:
            raise SpiceError("the hypervisor wants a password")
        self.accepted = True
        rest = bytes(self._result[_RESULT.size :])
        self._result.clear()
        return rest


def refusal(error: int = PERMISSION_DENIED) -> bytes:
    """A reply that says no, for a client whose channel is not let through."""
    body = _REPLY.pack(error, bytes(162), 0, 0, _REPLY.size)
    return _HEADER.pack(MAGIC, MAJOR, 2, len(body)) + body


def _capabilities(body: bytes, offset: int, common: int, channel: int) -> int:
    """The first word of the common capabilities; all of them must lie within the message."""
    if offset > len(body) or common + channel > (len(body) - offset) // 4:
        raise SpiceError("capabilities beyond the message")
    return int(struct.unpack_from("<I", body, offset)[0]) if common else 0
