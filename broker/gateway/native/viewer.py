"""A native client's connection: its CONNECT request, then the bytes of one SPICE channel."""

import asyncio
import logging
import socket
import ssl
from typing import cast

import aiofastnet

from broker.gateway import closing as why
from broker.gateway.admission import Rejected
from broker.gateway.closing import Closing
from broker.gateway.desk import Presented
from broker.gateway.dial import keep_watch
from broker.gateway.floor import Floor
from broker.gateway.spice.leg import SpiceLeg
from broker.gateway.spice.link import refusal

from .connect import BEGINS, ESTABLISHED, MOST, answer, read

log = logging.getLogger(__name__)


class ViewerConnection(asyncio.Protocol):
    """The client of a leg. Whoever makes it counts it in and out of `connections`."""

    def __init__(self, floor: Floor, connections: set["ViewerConnection"]):
        self._floor, self._connections = floor, connections
        self._transport: asyncio.Transport | None = None
        self._request: bytearray | None = bytearray()
        self._leg: SpiceLeg | None = None
        self._expiry: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)
        keep_watch(transport.get_extra_info("socket"))
        self._expiry = asyncio.get_running_loop().call_later(self._floor.limits.handshake, self._drop)

    def data_received(self, data: bytes) -> None:
        if self._request is None:
            if self._leg is not None:
                self._leg.from_client(data)
            return
        self._request += data
        if (end := self._request.find(b"\r\n\r\n", 0, MOST)) >= 0:
            request, early = bytes(self._request[: end + 4]), bytes(self._request[end + 4 :])
            self._request = None
            self._open(request, early)
        elif len(self._request) >= MOST:
            self._request = None
            self._refuse(Rejected(431, "the request is too long"))

    def _open(self, request: bytes, early: bytes) -> None:
        assert self._transport is not None
        peer = self._transport.get_extra_info("peername")
        address = str(peer[0]) if peer else ""
        try:
            if self._floor.draining or len(self._connections) > self._floor.limits.consoles:
                raise Rejected(503, "the console gateway is full or about to stop")
            asked = read(request)
        except Rejected as rejection:
            log.info("CONNECT from %s refused: %s", address, rejection.reason)
            self._refuse(rejection)
            return
        presented = Presented(
            asked.secret, "", self._floor.policy.address(asked.headers, address), "spice", "native", asked.machine
        )
        if self._expiry:
            self._expiry.cancel()
        self._transport.write(ESTABLISHED)
        self._leg = SpiceLeg(self._floor, presented, self)
        if early:
            self._leg.from_client(early)

    def _refuse(self, rejection: Rejected) -> None:
        assert self._transport is not None
        self._transport.write(answer(rejection))
        self._transport.close()

    def _drop(self) -> None:
        if self._transport:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        if self._expiry:
            self._expiry.cancel()
        if self._leg is not None:
            self._leg.client_gone()

    def pause_writing(self) -> None:
        if self._leg is not None:
            self._leg.client_full()

    def resume_writing(self) -> None:
        if self._leg is not None:
            self._leg.client_ready()

    def send(self, data: bytes) -> None:
        if self._transport:
            self._transport.write(data)

    def pause(self) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self, closing: Closing, *, linked: bool) -> None:
        """A client that still waits for the reply is told; afterwards SPICE has no word for it."""
        if self._transport is None or self._transport.is_closing():
            return
        if not linked and closing is not why.FINISHED:
            self._transport.write(refusal())
        self._transport.close()
        # A client that reads nothing would keep the connection for ever.
        asyncio.get_running_loop().call_later(1.0, self._drop)


class Viewers:
    """All native clients of this gateway, however they came in."""

    def __init__(self, floor: Floor):
        self._floor = floor
        self._connections: set[ViewerConnection] = set()
        self._servers: list[asyncio.Server] = []

    async def listen(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Take connections on a port of their own."""
        listener.setblocking(False)
        loop = asyncio.get_running_loop()
        self._servers.append(await loop.create_server(self.make, sock=listener, backlog=1024, ssl=tls))

    def stop_listening(self) -> None:
        for server in self._servers:
            server.close()

    async def adopt(self, connection: socket.socket, request: bytes) -> None:
        """Carry a connection whose request was already read."""
        viewer = self.make()
        await aiofastnet.connect_accepted_socket(asyncio.get_running_loop(), lambda: viewer, connection)
        viewer.data_received(request)

    def make(self) -> ViewerConnection:
        return ViewerConnection(self._floor, self._connections)

    def open_connections(self) -> int:
        return len(self._connections)

    @staticmethod
    def wants(request: bytes) -> bool:
        return request.startswith(BEGINS)
