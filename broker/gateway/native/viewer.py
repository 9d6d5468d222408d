"""A native client's connection: its CONNECT request, then the bytes of one SPICE channel.

A client that speaks TLS either speaks it with this gateway, which looks into the channel as into any other, or with the
machine's host: which of the two, the desk says.
"""

import asyncio
import logging
import socket
import ssl
from typing import Any, cast

import aiofastnet

from broker.gateway import closing as why
from broker.gateway.admission import Rejected
from broker.gateway.closing import Closing
from broker.gateway.desk import Presented
from broker.gateway.dial import keep_watch
from broker.gateway.floor import Floor
from broker.gateway.memory import TLS_BUFFERS, give_back
from broker.gateway.spice.leg import SpiceLeg
from broker.gateway.spice.link import refusal
from broker.virt.agent.records import Records

from .blind import BlindLeg
from .connect import BEGINS, ESTABLISHED, MOST, answer, read

log = logging.getLogger(__name__)


class ViewerConnection(asyncio.Protocol):
    """The client of a leg. Whoever makes it counts it in and out of `connections`."""

    def __init__(self, floor: Floor, connections: set["ViewerConnection"]):
        self._floor, self._connections = floor, connections
        self._transport: asyncio.Transport | None = None
        self._request: bytearray | None = bytearray()
        self._early: bytearray | None = bytearray()
        self._leg: SpiceLeg | None = None
        self._opening: asyncio.Task[None] | None = None
        self._records: Records | None = None
        self._expiry: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)
        keep_watch(transport.get_extra_info("socket"))
        self._expiry = asyncio.get_running_loop().call_later(self._floor.limits.handshake, self._drop)

    def data_received(self, data: bytes) -> None:
        if self._request is None:
            self._pass(data)
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
        if asked.tls:
            self._transport.pause_reading()
            self._opening = asyncio.get_running_loop().create_task(self._open_tls(presented))
            return
        self._transport.write(ESTABLISHED)
        self._carry(SpiceLeg(self._floor, presented, self))
        if early:
            self._pass(early)

    async def _open_tls(self, presented: Presented) -> None:
        """Begin TLS here, or let the client begin it with the machine's host. Nothing was said before."""
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        try:
            context = await loop.run_in_executor(self._floor.pool, self._floor.leg, presented)
        except Exception:
            log.exception("a native client's TLS could not be begun")
            self._refuse(Rejected(503, "the console gateway cannot look at the ticket now"))
            return
        self._transport.write(ESTABLISHED)
        if context is None:
            self._carry(BlindLeg(self._floor, presented, self))
            return
        try:
            self._transport = await aiofastnet.start_tls(
                loop, self._transport, self, context, server_side=True,
                ssl_handshake_timeout=self._floor.limits.handshake, **TLS_BUFFERS,
            )  # fmt: skip
        except OSError as error:
            log.info("a native client broke TLS off: %s", error)
            self._connections.discard(self)
            return
        give_back()
        self._records = Records()
        self._carry(SpiceLeg(self._floor, presented, self))

    def _carry(self, leg: SpiceLeg) -> None:
        if self._expiry:
            self._expiry.cancel()
        self._leg = leg
        early, self._early = self._early, None
        if early:
            leg.from_client(bytes(early))

    def _pass(self, data: bytes) -> None:
        if self._leg is not None:
            self._leg.from_client(data)
        elif self._early is not None:
            # The first words within TLS may come in the moment before the leg is there.
            self._early += data
            if len(self._early) > self._floor.limits.early:
                self._drop()

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
        if self._opening and self._leg is None:
            self._opening.cancel()
        if self._leg is not None:
            self._leg.client_gone()

    def pause_writing(self) -> None:
        if self._leg is not None:
            self._leg.client_full()

    def resume_writing(self) -> None:
        if self._leg is not None:
            self._leg.client_ready()

    def send(self, data: bytes) -> None:
        if self._transport is None:
            return
        if self._records is None:
            self._transport.write(data)
        else:
            for piece in self._records.cut(data):
                self._transport.write(piece)

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
        options: dict[str, Any] = {"ssl": tls, **TLS_BUFFERS} if tls else {}
        self._servers.append(await aiofastnet.create_server(loop, self.make, sock=listener, backlog=1024, **options))

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
