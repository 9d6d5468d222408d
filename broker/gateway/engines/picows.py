"""The default engine: picows on the event loop. After the handshake, bytes pass without being looked at.

The transports are aiofastnet's (picows' own companion) and must be: on any other, picows 2.3.1 hands the transport a
view of its one header buffer, and when the browser is slow the next frame's header overwrites that of a frame that
still waits. `test_a_burst_arrives_whole` shows it.
"""

import asyncio
import logging
import socket
import ssl
from http import HTTPStatus
from typing import Any, cast

import aiofastnet
import picows
from picows.picows import WSProtocol  # type: ignore[attr-defined]

from broker.gateway import closing as why
from broker.gateway.admission import ECHO, SUBPROTOCOL, Rejected
from broker.gateway.closing import Closing
from broker.gateway.desk import Admitted, Alive, Presented, Refused
from broker.gateway.dial import Machine, dial
from broker.gateway.floor import Floor
from broker.gateway.memory import TLS_BUFFERS, give_back
from broker.gateway.onloop import OnLoop
from broker.gateway.recording import Recorder
from broker.gateway.rfb import INPUT, FirstPicture, RfbError
from broker.gateway.rfb.browser import BrowserHandshake
from broker.gateway.rfb.viewonly import ViewOnlyFilter
from broker.gateway.terms import Meter, filter_of

log = logging.getLogger(__name__)
# What picows logs as errors are mistakes of clients; anybody could fill the log with them.
_wire_log = logging.getLogger(f"{__name__}.wire")
_wire_log.setLevel(logging.CRITICAL)
_TCP_NOTSENT_LOWAT = 25
_BINARY, _CONTINUATION, _PING, _CLOSE, _TEXT = (
    picows.WSMsgType.BINARY,
    picows.WSMsgType.CONTINUATION,
    picows.WSMsgType.PING,
    picows.WSMsgType.CLOSE,
    picows.WSMsgType.TEXT,
)


class PicowsConsole(OnLoop, picows.WSListener):  # type: ignore[misc]
    """One browser and one machine. Everything happens on the event loop's thread."""

    def __init__(self, floor: Floor, presented: Presented):
        super().__init__()
        self._floor, self._presented = floor, presented
        self._loop = asyncio.get_running_loop()
        self._ws: picows.WSTransport | None = None
        self._opening: asyncio.Task[None] | None = None
        self._admitted: Admitted | None = None
        self._machine: Machine | None = None
        self._handshake: BrowserHandshake | None = None
        self._shaken: asyncio.Future[None] | None = None
        self._filter: ViewOnlyFilter | None = None
        self._meter: Meter | None = None
        self._recorder: Recorder | None = None
        self._held = 0  # reasons for which the machine is not read: a slow browser, a full bucket
        self._relaying = False
        self._early = 0
        self._control_frames, self._control_window = 0, 0.0
        self._up = self._down = 0
        self._input, self._sight = 0.0, FirstPicture()
        self._closing: Closing | None = None

    def alive(self) -> Alive:
        assert self._admitted is not None
        idle = self._loop.time() - self._input if self._input else None
        return Alive(self._admitted.session, self._presented.web_session, self._up, self._down, idle, self._sight.after)

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._ws = transport
        self._opening = self._loop.create_task(self._open())

    async def _open(self) -> None:
        try:
            async with asyncio.timeout(self._floor.limits.handshake):
                await self._admit_and_dial()
        except Refused as refusal:
            self.end(refusal.closing)
        except RfbError:
            self.end(why.PROTOCOL)
        except TimeoutError:
            self.end(why.SLOW)
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("a console could not be opened")
            self.end(why.INTERNAL)

    async def _admit_and_dial(self) -> None:
        assert self._ws is not None
        self._admitted = await self._floor.redeem(self._presented)
        self._floor.consoles.add(self._admitted.session, self)
        if self._admitted.terms.speed:
            self._meter = Meter(self._admitted.terms.speed, self._loop.time())
        self._recorder = self._floor.recorder(self._admitted)
        self._machine = await dial(self._admitted.target, self, self._floor)
        if self._admitted.target.hello:
            self._sight.look_away()
            self._relaying = True
            self._machine.relay(b"")
            return
        self._shaken = self._loop.create_future()
        self._handshake = BrowserHandshake()
        self._ws.send(_BINARY, self._handshake.greeting())
        await self._shaken
        first = BrowserHandshake.CLIENT_INIT + self._filtered(self._handshake.rest)
        self._handshake = None
        self._relaying = True
        self._machine.relay(first)

    def _filtered(self, data: bytes) -> bytes:
        assert self._admitted is not None
        if self._filter is None:
            self._filter = filter_of(self._admitted)
        return self._filter.feed(data) if self._filter else data

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        kind = frame.msg_type
        if kind in (_BINARY, _CONTINUATION):
            if self._closing is None:
                self._from_browser(frame.get_payload_as_bytes())
        elif kind == _CLOSE:
            self.end(why.FINISHED)
        elif kind == _TEXT:
            self._echo(frame.get_payload_as_bytes() if frame.fin else b"")
        elif kind == _PING and self._may_control():
            self._ws.send_pong(frame.get_payload_as_bytes())  # type: ignore[union-attr]

    def _from_browser(self, data: bytes) -> None:
        self._up += len(data)
        try:
            if self._relaying:
                assert self._machine is not None
                if data and data[0] in INPUT:
                    self._input = self._loop.time()
                if self._filter:
                    data = self._filter.feed(data)
                if data:
                    self._machine.write(data)
            else:
                self._shake(data)
        except RfbError:
            self.end(why.PROTOCOL)

    def _shake(self, data: bytes) -> None:
        self._early += len(data)
        if self._handshake is None or self._early > self._floor.limits.early:
            raise RfbError("the browser spoke before it was asked")
        if answer := self._handshake.receive(data):
            assert self._ws is not None
            self._ws.send(_BINARY, answer)
        if self._handshake.done and self._shaken and not self._shaken.done():
            self._shaken.set_result(None)

    def _echo(self, text: bytes) -> None:
        if text != ECHO:
            self.end(why.UNSUPPORTED)
        elif self._may_control():
            self._ws.send(_TEXT, text)  # type: ignore[union-attr]

    def _may_control(self) -> bool:
        """Whether a question about the line alone is answered: not in a flood of them, nor at the end."""
        now = self._loop.time()
        if now - self._control_window > 10:
            self._control_frames, self._control_window = 0, now
        self._control_frames += 1
        if self._control_frames > self._floor.limits.control_frames:
            self.end(why.FLOOD)
        return self._ws is not None and self._closing is None

    def from_machine(self, data: bytes) -> None:
        if self._closing is not None:
            return
        self._down += self._sight.saw(data)
        if self._recorder:
            self._recorder.take(data)
        self._ws.send(_BINARY, data)  # type: ignore[union-attr]
        if self._meter and (wait := self._meter.spend(len(data), self._loop.time())):
            self._held += 1
            self._machine.pause_reading()  # type: ignore[union-attr]
            self._loop.call_later(wait, self.resume_writing)

    def machine_lost(self) -> None:
        if self._relaying and self._closing is None:
            asked = self._floor.pool.submit(self._floor.why_lost, self.alive(), self._admitted)
            asked.add_done_callback(lambda done: self.end(why.LOST if done.cancelled() else done.result()))

    def machine_full(self) -> None:
        if self._ws and self._closing is None:
            self._ws.underlying_transport.pause_reading()

    def machine_ready(self) -> None:
        if self._ws and self._closing is None:
            self._ws.underlying_transport.resume_reading()

    def pause_writing(self) -> None:
        self._held += 1
        if self._machine:
            self._machine.pause_reading()

    def resume_writing(self) -> None:
        self._held -= 1
        if self._machine and self._closing is None and self._held <= 0:
            self._machine.resume_reading()

    def _end(self, closing: Closing) -> None:
        if self._closing is not None:
            return
        self._closing = closing
        if self._machine:
            self._machine.abort()
        if self._recorder:
            self._recorder.close()
        if self._opening and self._opening is not asyncio.current_task(self._loop):
            self._opening.cancel()
        if self._ws and not self._ws.is_disconnected:
            if not self._ws.is_close_frame_sent:
                # The library types codes as an enum of the RFC's; it sends any number.
                self._ws.send_close(cast(picows.WSCloseCode, closing.code), closing.name)
            self._ws.disconnect()
            # A browser that reads nothing would keep the close frame, and with it the socket, for ever.
            self._loop.call_later(1.0, self._ws.underlying_transport.abort)
        if self._admitted:
            self._floor.report_closed(self.alive(), closing)

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        sent = transport.close_handshake.sent if transport.close_handshake else None
        if sent is not None and self._closing is None:
            # picows closed by itself: a broken frame, or a ping without answer (it says 1001 then).
            code = int(cast(int, sent.code))
            self._end(why.NO_ANSWER if code == 1001 else why.BY_CODE.get(code, why.PROTOCOL))
        else:
            self._end(why.FINISHED)


class PicowsEngine:
    """Accepts connections and makes a PicowsConsole of each that may be one."""

    def __init__(self, floor: Floor):
        self._floor = floor
        self._servers: list[asyncio.Server] = []
        self._protocols: set[WSProtocol] = set()

    async def listen(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        options: dict[str, Any] = {}
        if tls:
            options = {"ssl": tls, "ssl_handshake_timeout": self._floor.limits.handshake, **TLS_BUFFERS}
        accepted = self._protocol_of_tls if tls else self._protocol
        loop = asyncio.get_running_loop()
        server = await aiofastnet.create_server(loop, accepted, sock=listener, backlog=1024, **options)
        self._servers.append(server)

    async def adopt(self, connection: socket.socket, request: bytes = b"") -> None:
        protocol = self._protocol()
        await aiofastnet.connect_accepted_socket(asyncio.get_running_loop(), lambda: protocol, connection)
        while request:
            room = protocol.get_buffer(-1)
            taken = min(len(room), len(request))
            room[:taken] = request[:taken]
            request = request[taken:]
            protocol.buffer_updated(taken)

    async def stop_listening(self) -> None:
        for server in self._servers:
            server.close()

    def open_connections(self) -> int:
        return len(self._protocols)

    def _protocol_of_tls(self) -> WSProtocol:
        give_back()
        return self._protocol()

    def _protocol(self) -> WSProtocol:
        """picows' own protocol object: its ws_create_server() builds the same but takes no accepted sockets."""
        limits = self._floor.limits
        protocol: WSProtocol
        holder: list[WSProtocol] = []
        protocol = _Tracked(
            self._protocols,
            host_port=None,
            ws_path=None,
            is_client_side=False,
            ws_listener_factory=lambda request: self._answer(request, holder[0]),
            logger=_wire_log,
            disconnect_on_exception=True,
            websocket_handshake_timeout=limits.handshake,
            enable_auto_ping=True,
            auto_ping_idle_timeout=limits.ping_every,
            auto_ping_reply_timeout=limits.ping_answer,
            auto_ping_strategy=picows.WSAutoPingStrategy.PING_WHEN_IDLE,
            enable_auto_pong=False,
            max_frame_size=limits.frame,
            extra_headers=None,
            read_buffer_init_size=2048,
        )
        holder.append(protocol)
        return protocol

    def _answer(self, request: picows.WSUpgradeRequest, protocol: WSProtocol) -> picows.WSUpgradeResponseWithListener:
        floor = self._floor
        sock = protocol.transport.underlying_transport.get_extra_info("socket")
        peer = protocol.transport.underlying_transport.get_extra_info("peername")
        headers: dict[str, list[str]] = {}
        for name, value in request.headers.items():
            headers.setdefault(name.lower(), []).append(value)
        try:
            if floor.draining or len(self._protocols) > floor.limits.consoles:
                raise Rejected(503, "the console gateway is full or about to stop")
            presented = floor.policy.admit(
                request.method.decode("latin-1"), request.path.decode("latin-1"), headers, str(peer[0]) if peer else ""
            )
        except Rejected as rejection:
            log.info("upgrade from %s refused: %s", peer and peer[0], rejection.reason)
            return picows.WSUpgradeResponseWithListener(
                picows.WSUpgradeResponse.create_error_response(
                    HTTPStatus(rejection.status), rejection.reason.encode(), {"Cache-Control": "no-store"}
                ),
                None,
            )
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, floor.limits.unsent)
        return picows.WSUpgradeResponseWithListener(
            picows.WSUpgradeResponse.create_101_response({"Sec-WebSocket-Protocol": SUBPROTOCOL}),
            self._console(presented),
        )

    def _console(self, presented: Presented) -> PicowsConsole:
        if presented.kind == "spice":
            from .picows_spice import SpiceSocket

            return SpiceSocket(self._floor, presented)
        return PicowsConsole(self._floor, presented)


class _Tracked(WSProtocol):  # type: ignore[misc]
    """Knows when its connection is gone, so that draining can wait and the cap can count."""

    def __init__(self, all_: set[WSProtocol], **options: object):
        super().__init__(**options)
        self._all = all_

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._all.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._all.discard(self)
        super().connection_lost(error)


build = PicowsEngine
