"""The public port's HTTP protocol: like uvicorn's, but console upgrades go to the gateway process.

    uvicorn.Config(app, http=door("/run/berth/gateway.sock"))

uvicorn reads and parses the request as always. When it turns out to be an upgrade of /console/ws, the
connection's descriptor and the request are handed to the gateway and this process forgets both. Because that
happens per request and not per connection, a proxy in front may reuse a connection that carried pages before.
With TLS the descriptor alone is worth nothing: end TLS in a proxy in front, or give the gateway a port of its
own.
"""

import asyncio
import logging
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .admission import PATH
from .handover import Giver

log = logging.getLogger(__name__)
_GONE = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n"
    b"Cache-Control: no-store\r\n\r\n"
)
_TLS = b"HTTP/1.1 421 Misdirected Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class DoorProtocol(HttpToolsProtocol):
    """One connection on the public port. `giver` is set by `door()`."""

    giver: Giver
    first_request: float = 10.0
    """Seconds a new connection may take until its first request's headers are complete."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._waiting = self.loop.call_later(self.first_request, transport.abort)

    def on_headers_complete(self) -> None:
        self._waiting.cancel()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._waiting.cancel()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        if self.url.partition(b"?")[0] != PATH.encode():
            super().handle_websocket_upgrade()
            return
        self.connections.discard(self)
        if self.scheme == "https":
            self.transport.write(_TLS)
        elif not self._hand_over():
            log.warning("a console was refused: no gateway takes it")
            self.transport.write(_GONE)
        self.transport.close()

    def _hand_over(self) -> bool:
        self.transport.pause_reading()
        method = self.scope["method"].encode()
        lines = [method + b" " + self.url + b" HTTP/1.1"]
        lines += [name + b": " + value for name, value in self.scope["headers"]]
        public = self.transport.get_extra_info("socket")
        return self.giver.give(public, b"\r\n".join(lines) + b"\r\n\r\n")


def door(path: str, *, first_request: float = DoorProtocol.first_request) -> type[DoorProtocol]:
    """The protocol class for uvicorn's `http` option; `path` is where the gateway takes connections."""
    members: dict[str, Any] = {"giver": Giver(path), "first_request": first_request}
    return type("Door", (DoorProtocol,), members)
