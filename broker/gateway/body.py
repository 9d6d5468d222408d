"""The body of a large request, read from its connection by the thread that writes it away.

uvicorn takes a body in the event loop, parses it, copies it and keeps it until somebody asks; of an upload of
gigabytes that is the larger part of the work. Here the connection is paused once the header is complete. Whoever
answers the request reads the body as from a file, in a thread, while the event loop goes on with others; a request
that is refused before is never read so, and the parser passes over its body as it always does.
"""

import os
import socket
import time
from typing import TYPE_CHECKING

import httptools

if TYPE_CHECKING:
    from .door import DoorProtocol

EXTENSION = "berth.body"
"""Where in the ASGI scope's extensions it stands."""
SILENCE_SECONDS = 30.0
SLOWEST = 64 << 10
"""Bytes a second that a body must come with on average; what comes slower ends where it is."""
PASSED_OVER_SECONDS = 10.0
_AT_ONCE = 512 << 10
"""How much is waited for before the reading thread is woken: each waking costs more than a copy of some pages."""


class Body:
    """`read` and `close` are for one thread, `stop` and `hand_back` for the event loop."""

    def __init__(self, protocol: "DoorProtocol", length: int):
        self._protocol, self._cycle = protocol, protocol.cycle
        self._left, self._begun, self._straight, self._ends = length, b"", False, 0.0
        self._taken = False
        self._connection = socket.socket(fileno=os.dup(protocol.transport.get_extra_info("socket").fileno()))
        self._connection.settimeout(SILENCE_SECONDS)

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most `size`; none at the end, and when nothing more comes."""
        if not self._taken:
            self._take()
        size = self._left if size < 0 else min(size, self._left)
        if self._begun:
            piece, self._begun = self._begun[:size], self._begun[size:]
        else:
            piece = self._received(size)
        self._left -= len(piece)
        return piece

    def close(self) -> None:
        """Pass over what was not read of a body that was begun, so that its sender hears the answer."""
        if self._taken:
            self._ends = min(self._ends, time.monotonic() + PASSED_OVER_SECONDS)
            while self._left and self.read(1 << 20):
                pass

    def stop(self) -> None:
        """The server ends: whoever reads gets no more."""
        try:
            self._connection.shutdown(socket.SHUT_RD)
        except OSError:
            pass  # the other side has gone already

    def hand_back(self) -> None:
        """The connection is uvicorn's again; before the answer is sent."""
        if self._straight:
            self._wake_at(1)
        self._connection.close()
        if self._left and self._taken:
            self._cycle.keep_alive = False  # in the middle of a body no next request can be found
        elif self._straight and self._protocol.parser is not None:
            # Its parser did not see the end of this request; a fresh one begins with the next.
            self._protocol.parser = httptools.HttpRequestParser(self._protocol)
            self._cycle.more_body = False

    def _take(self) -> None:
        """What came in one piece with the header is uvicorn's already; the rest is still in the connection."""
        self._taken = True
        self._begun, self._cycle.body = bytes(self._cycle.body), bytearray()
        self._straight = len(self._begun) < self._left
        self._wake_at(min(_AT_ONCE, self._left - len(self._begun)))
        self._ends = time.monotonic() + SILENCE_SECONDS + self._left / SLOWEST
        if self._cycle.waiting_for_100_continue:
            self._cycle.waiting_for_100_continue = False
            self._connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _received(self, size: int) -> bytes:
        if not size or time.monotonic() > self._ends:
            return b""
        if self._left < _AT_ONCE:
            self._wake_at(self._left)
        try:
            return self._connection.recv(size)
        except OSError:  # it broke off, or was silent for too long
            return b""

    def _wake_at(self, size: int) -> None:
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, max(size, 1))
