"""The public port's HTTP protocol: like uvicorn's, but console upgrades go to the gateway process.

    uvicorn.Config(app, http=door("/run/berth/gateway.sock"))

uvicorn reads and parses the request as always. When it turns out to be an upgrade of a console's address, the
connection's descriptor and the request are handed to the gateway and this process forgets both. A connection that
begins with CONNECT is a native client's and goes the same way, unparsed. Because that
happens per request and not per connection, a proxy in front may reuse a connection that carried pages before.
The bodies of requests that `straight` names are left in the connection for the thread that answers (body.py).
With TLS the descriptor alone is worth nothing: end TLS in a proxy in front, or give the gateway a port of its
own.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .admission import PATHS
from .body import EXTENSION, Body
from .handover import MAX_REQUEST, Giver
from .native.connect import BEGINS, MOST

log = logging.getLogger(__name__)
_AGAIN = 0.05
_GONE = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n"
    b"Cache-Control: no-store\r\n\r\n"
)
_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_TLS = b"HTTP/1.1 421 Misdirected Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class DoorProtocol(HttpToolsProtocol):
    """One connection on the public port. `giver` is set by `door()`."""

    giver: Giver
    straight: Callable[[str, str, int], bool]
    """Whether the body of a request is read straight from the connection: by method, path and announced length."""
    first_request: float = 10.0
    """Seconds a new connection may take until its first request's headers are complete."""
    patience: float = 3.0
    """Seconds a console waits for a gateway: one that was killed has its successor long before."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._waiting = self.loop.call_later(self.first_request, transport.abort)
        self._first: bytearray | None = bytearray()

    def data_received(self, data: bytes) -> None:
        if self._first is None:
            super().data_received(data)
            return
        self._first += data
        if not self._first.startswith(BEGINS[: len(self._first)]):
            first, self._first = bytes(self._first), None
            super().data_received(first)
        elif self._first.find(b"\r\n\r\n", 0, MOST) >= 0:
            self._waiting.cancel()
            self._pass_on(bytes(self._first))
        elif len(self._first) >= MOST:
            self.transport.write(_LONG)
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._waiting.cancel()
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before and not self.pipeline and self.scheme != "https":
            length = next((value for name, value in self.headers if name == b"content-length"), b"")
            if length.isdigit() and self.straight(self.scope["method"], self.scope["path"], int(length)):
                self.flow.pause_reading()
                # The specification knows extensions that are tables only; this one never leaves the process.
                self.scope["extensions"] = {EXTENSION: Body(self, int(length))}  # type: ignore[dict-item]

    def connection_lost(self, exc: Exception | None) -> None:
        self._waiting.cancel()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        if self.url.partition(b"?")[0].decode("latin-1") not in PATHS:
            super().handle_websocket_upgrade()
            return
        method = self.scope["method"].encode()
        lines = [method + b" " + self.url + b" HTTP/1.1"]
        lines += [name + b": " + value for name, value in self.scope["headers"]]
        self._pass_on(b"\r\n".join(lines) + b"\r\n\r\n")

    def _pass_on(self, request: bytes) -> None:
        self.connections.discard(self)
        self.transport.pause_reading()
        if self.scheme == "https":
            self.transport.write(_TLS)
        elif len(request) <= MAX_REQUEST:
            self._give(request, self.loop.time() + self.patience)
            return
        else:
            self.transport.write(_GONE)
        self.transport.close()

    def _give(self, request: bytes, until: float) -> None:
        if self.transport.is_closing():
            return
        if not self.giver.give(self.transport.get_extra_info("socket"), request):
            if self.loop.time() < until:
                self.loop.call_later(_AGAIN, self._give, request, until)
                return
            log.warning("a console was refused: no gateway takes it")
            self.transport.write(_GONE)
        self.transport.close()


def door(
    path: str,
    *,
    straight: Callable[[str, str, int], bool] = lambda method, path, length: False,
    first_request: float = DoorProtocol.first_request,
    patience: float = DoorProtocol.patience,
) -> type[DoorProtocol]:
    """The protocol class for uvicorn's `http` option; `path` is where the gateway takes connections."""
    members: dict[str, Any] = {
        "giver": Giver(path), "straight": staticmethod(straight), "first_request": first_request,
        "patience": patience,
    }  # fmt: skip
    return type("Door", (DoorProtocol,), members)
