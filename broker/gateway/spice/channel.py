"""One SPICE channel in both directions: watched until it is known what must be known, then let through untouched.

Of the main channel that is the number the hypervisor gives the connection, and the list of channels where some are
withheld; of a display the first picture. Somebody who looks on has the main channel watched to its end: the list loses
the channels that act, and nothing reaches the guest's agent.
"""

import struct

from . import DISPLAY, KNOWN, MAIN, SHOWN, SpiceError
from .link import AUTH_SELECTION, Link, ServerLink
from .messages import Messages, Verdict

_INIT, _CHANNELS_LIST = 103, 104
_DRAWN = frozenset({122, 123, 316, 318, *range(302, 314)})
"""Messages of a display that carry a picture."""
_ENCRYPTED_TICKET = 128
_AUTH_SPICE = 1
# acknowledgements, pong, goodbye, about the client, attach, mouse mode
_LOOKING_ON = frozenset({1, 2, 3, 6, 101, 104, 105})


class Channel:
    """Give it the bytes of both sides and pass on what it returns. It keeps no more than one short message."""

    def __init__(self, link: Link, *, view_only: bool = False, channels: frozenset[int] = KNOWN):
        """`channels`: the kinds that the list of channels may name."""
        self.link = link
        self._kept = channels & SHOWN if view_only else channels
        self._filters = link.kind == MAIN and self._kept != KNOWN
        self.connection: int | None = None
        """The number the hypervisor gave: of a main channel, once it is known."""
        self.drawn = False
        self._server: ServerLink | None = ServerLink()
        watched = link.kind in (MAIN, DISPLAY)
        self._guard = view_only and link.kind == MAIN
        self._down = Messages(self._judge, self._change) if watched else None
        self._up = Messages(self._admits, self._unchanged) if self._guard else None
        self._ticket = bytearray()
        self._ticket_over = not self._guard

    @property
    def open(self) -> bool:
        """Whether the hypervisor has accepted the channel."""
        return self._server is None

    def from_machine(self, data: bytes) -> bytes:
        """Raises SpiceError."""
        if self._server is not None:
            rest = self._server.receive(data)
            if not self._server.accepted:
                return data
            self._server = None
            return data[: len(data) - len(rest)] + self._watch(rest)
        return self._watch(data)

    def _watch(self, data: bytes) -> bytes:
        if self._down is None or not data:
            return data
        passed = self._down.feed(data)
        if self._filters:
            return passed
        if self.connection is not None or self.drawn:
            self._down = None
        return data

    def from_client(self, data: bytes) -> bytes:
        """Raises SpiceError."""
        if self._up is None:
            return data
        before = b""
        if not self._ticket_over:
            before, data = self._take_ticket(data)
        return before + self._up.feed(data)

    def _take_ticket(self, data: bytes) -> tuple[bytes, bytes]:
        """What still belongs to the ticket, and what comes after it."""
        selected = self._selects()
        length = _ENCRYPTED_TICKET + (4 if selected else 0)
        wanted = length - len(self._ticket)
        taken, rest = data[:wanted], data[wanted:]
        self._ticket += taken
        if selected and len(self._ticket) >= 4 and struct.unpack_from("<I", self._ticket)[0] != _AUTH_SPICE:
            raise SpiceError("a way to sign in that is not offered")
        if len(self._ticket) == length:
            self._ticket_over = True
            self._ticket.clear()
        return taken, rest

    def _selects(self) -> bool:
        """Whether the client says how it signs in before it does."""
        server = self._server
        if server is not None and not server.capabilities:
            raise SpiceError("the client spoke before the reply")
        return bool(self.link.capabilities & AUTH_SELECTION)

    def _judge(self, kind: int) -> Verdict:
        if self.link.kind == DISPLAY:
            self.drawn = self.drawn or kind in _DRAWN
            return Verdict.PASS
        if kind == _INIT and self.connection is None:
            return Verdict.TAKE
        return Verdict.TAKE if kind == _CHANNELS_LIST and self._filters else Verdict.PASS

    def _change(self, kind: int, body: bytes) -> bytes:
        if kind == _INIT:
            if len(body) < 4 or not (number := struct.unpack_from("<I", body)[0]):
                raise SpiceError("a connection without a number")
            self.connection = number
            return body
        return _only(self._kept, body)

    @staticmethod
    def _admits(kind: int) -> Verdict:
        return Verdict.PASS if kind in _LOOKING_ON else Verdict.DROP

    @staticmethod
    def _unchanged(_kind: int, body: bytes) -> bytes:
        return body


def _only(kinds: frozenset[int], body: bytes) -> bytes:
    """The list of channels with these kinds alone."""
    if len(body) < 4:
        raise SpiceError("a list of channels without its length")
    (count,) = struct.unpack_from("<I", body)
    if count * 2 > len(body) - 4:
        raise SpiceError("a list of channels that is shorter than it says")
    pairs = [body[at : at + 2] for at in range(4, 4 + 2 * count, 2)]
    kept = [pair for pair in pairs if pair[0] in kinds]
    return struct.pack("<I", len(kept)) + b"".join(kept)
