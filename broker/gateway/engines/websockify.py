"""The reference engine: websockify's request handler, one thread a console, redeeming the same tickets.

websockify 0.13's own threaded server loses its token plug-in and keeps the target on the object all connections
share (websockify issue 644), its proxy loop queues without bound, and its websocket takes frames of any
size. So the server here is ours, the target stays on the handler, and the loop reads no more than it has sent.
"""

import asyncio
import io
import logging
import os
import select
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler
from typing import Any

from websockify.token_plugins import BasePlugin
from websockify.websocketproxy import ProxyRequestHandler

from broker.gateway import closing as why
from broker.gateway.admission import Rejected
from broker.gateway.closing import Closing
from broker.gateway.desk import Admitted, Alive, Presented, Refused
from broker.gateway.dial_blocking import dial_blocking
from broker.gateway.floor import Floor
from broker.gateway.preread import Preread
from broker.gateway.recording import Recorder
from broker.gateway.rfb import INPUT, FirstPicture, RfbError
from broker.gateway.rfb.browser import BrowserHandshake
from broker.gateway.rfb.viewonly import ViewOnlyFilter
from broker.gateway.terms import Meter, filter_of

from .websockify_socket import Broken, GuardedSocket

log = logging.getLogger(__name__)
_LONGEST_HOLD = 0.25  # seconds a console's thread sleeps for its speed limit: keys wait as long
_wire_log = logging.getLogger(f"{__name__}.wire")
_wire_log.setLevel(logging.CRITICAL)


class TicketTokens(BasePlugin):  # type: ignore[misc]
    """websockify's token plug-in interface over the ticket desk."""

    def __init__(self, floor: Floor):
        super().__init__(None)
        self._floor = floor

    def lookup(self, token: Presented) -> Admitted:
        """Redeem what was presented; raises Refused. Runs on the console's own thread."""
        return self._floor.desk.redeem(token)


class TicketHandler(ProxyRequestHandler):  # type: ignore[misc]
    """One connection on its own thread; `socketserver` style: the constructor serves until the end."""

    server_version, sys_version = "Berth", ""
    SocketClass = GuardedSocket

    def __init__(self, connection: socket.socket, address: tuple[Any, ...], server: "WebsockifyEngine", first: bytes):
        self.floor, self._first = server.floor, first
        self.ending: Closing | None = None
        self.relaying = False
        self._presented: Presented | None = None
        self._admitted: Admitted | None = None
        self._filter: ViewOnlyFilter | None = None
        self._meter: Meter | None = None
        self._recorder: Recorder | None = None
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._up, self._down, self._input, self._sight = 0, 0, 0.0, FirstPicture()
        self._raw = connection
        try:
            super().__init__(connection, address, server)
        finally:
            os.close(self._wake)
            self._wake = -1

    def setup(self) -> None:
        super().setup()
        self._expiry = self.server.expire_later(self)
        if self._first:
            self.rfile = io.BufferedReader(Preread(self._first, self.connection))

    def log_message(self, format: str, *args: object) -> None:
        _wire_log.info(format, *args)

    def alive(self) -> Alive:
        assert self._admitted is not None and self._presented is not None
        idle = time.monotonic() - self._input if self._input else None
        return Alive(self._admitted.session, self._presented.web_session, self._up, self._down, idle, self._sight.after)

    def end(self, closing: Closing) -> None:
        self.ending = self.ending or closing
        if self._wake >= 0:
            os.eventfd_write(self._wake, 1)
        if not self.relaying:
            # The thread waits for the browser's part of the handshake; the reason can still be sent.
            _shut(self._raw, socket.SHUT_RD)

    def expire(self) -> None:
        if not self.relaying:
            self.end(why.SLOW)

    def do_GET(self) -> None:  # noqa: N802 - http.server calls it by this name
        self._reject(Rejected(404, "no such address"))

    do_HEAD = do_GET  # noqa: N815

    def handle_upgrade(self) -> None:
        headers: dict[str, list[str]] = {}
        for name, value in self.headers.items():
            headers.setdefault(name.lower(), []).append(value)
        try:
            if self.floor.draining or self.server.open_connections() > self.floor.limits.consoles:
                raise Rejected(503, "the console gateway is full or about to stop")
            # From the request line: http.server has already folded "//" in `path`.
            path = self.requestline.split(" ")[1]
            self._presented = self.floor.policy.admit(self.command, path, headers, str(self.client_address[0]))
            if self._presented.kind != "vnc":
                raise Rejected(501, "this engine carries VNC only")
        except Rejected as rejection:
            self._reject(rejection)
            return
        super().handle_upgrade()

    def _reject(self, rejection: Rejected) -> None:
        log.info("upgrade from %s refused: %s", self.client_address[0], rejection.reason)
        body = rejection.reason.encode()
        BaseHTTPRequestHandler.send_response(self, rejection.status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def validate_connection(self) -> None:
        """Nothing to do here: the target belongs to this handler, never to the server all share."""

    def new_websocket_client(self) -> None:
        closing, target = why.FINISHED, None
        try:
            assert self._presented is not None
            self._admitted = self.server.token_plugin.lookup(self._presented)
            self.floor.consoles.add(self._admitted.session, self)
            self._recorder = self.floor.recorder(self._admitted)
            target, early = dial_blocking(self._admitted.target, self.floor)
            if self._admitted.target.hello:
                self._sight.look_away()
            else:
                self._shake(target)
            self.relaying = True
            self._expiry.cancel()
            if early:
                self._to_browser(early)
            self.do_proxy(target)
        except (Broken, Refused) as stop:
            closing = stop.closing
        except RfbError:
            closing = why.PROTOCOL
        except TimeoutError:
            closing = why.NO_ANSWER if self.relaying else why.SLOW
        except OSError:
            closing = why.FINISHED
        finally:
            self._expiry.cancel()
            if target:
                target.close()
            if self._recorder:
                self._recorder.close()
            if self._admitted:
                self.floor.report_closed(self.alive(), closing)
        self._say_goodbye(closing)

    def _say_goodbye(self, closing: Closing) -> None:
        self.ending = self.ending or closing
        try:
            self._raw.settimeout(1.0)
            self.request.shutdown(socket.SHUT_RDWR, closing.code, closing.name)
            # Closing with unread input resets the connection and the browser would never see the close frame.
            _shut(self._raw, socket.SHUT_WR)
            until = time.monotonic() + 1.0
            while time.monotonic() < until and self._raw.recv(65536):
                continue
        except (OSError, ValueError) as error:
            log.debug("the browser was gone before the close frame: %s", error)

    def _shake(self, target: socket.socket) -> None:
        handshake, early = BrowserHandshake(), 0
        self._to_browser(handshake.greeting())
        while not handshake.done:
            for data in self._from_browser():
                early += len(data)
                if early > self.floor.limits.early:
                    raise Broken(why.PROTOCOL)
                if answer := handshake.receive(data):
                    self._to_browser(answer)
        assert self._admitted is not None
        self._filter = filter_of(self._admitted)
        if self._admitted.terms.speed:
            self._meter = Meter(self._admitted.terms.speed, time.monotonic())
        rest = self._filter.feed(handshake.rest) if self._filter else handshake.rest
        target.sendall(BrowserHandshake.CLIENT_INIT + rest)

    def _from_browser(self) -> list[bytes]:
        if self.ending:
            raise Broken(self.ending)
        messages, closed = self.recv_frames()
        if closed:
            raise Broken(why.FINISHED)
        self._up += sum(map(len, messages))
        return list(messages)

    def _to_browser(self, data: bytes) -> None:
        if self._recorder and self.relaying:
            self._recorder.take(data)
        pending = self.send_frames([data])
        while pending:
            pending = self.send_frames()

    def do_proxy(self, target: socket.socket) -> None:
        """Relay until one side ends; nothing is read before what was read last has been sent."""
        limits, browser = self.floor.limits, self._raw.fileno()
        poll = select.poll()
        for descriptor in (browser, target.fileno(), self._wake):
            poll.register(descriptor, select.POLLIN)
        heard, asked = time.monotonic(), 0.0
        while True:
            ready = {descriptor for descriptor, _ in poll.poll(1000)}
            if self.ending:
                raise Broken(self.ending)
            if browser in ready:
                heard, asked = time.monotonic(), 0.0
                for data in self._from_browser():
                    self._input = heard if data and data[0] in INPUT else self._input
                    if wanted := self._filter.feed(data) if self._filter else data:
                        target.sendall(wanted)
            if target.fileno() in ready:
                self._from_machine(target)
            now = time.monotonic()
            if asked and now - asked > limits.ping_answer:
                raise Broken(why.NO_ANSWER)
            if not asked and now - heard > limits.ping_every:
                self.send_ping()
                asked = now

    def _from_machine(self, target: socket.socket) -> None:
        while True:
            try:
                data = target.recv(self.buffer_size)
            except OSError as error:
                raise Broken(self.floor.why_lost(self.alive(), self._admitted)) from error
            if not data:
                raise Broken(self.floor.why_lost(self.alive(), self._admitted))
            self._down += self._sight.saw(data)
            self._to_browser(data)
            if self._meter and (wait := self._meter.spend(len(data), time.monotonic())):
                time.sleep(min(wait, _LONGEST_HOLD))
            if not (isinstance(target, ssl.SSLSocket) and target.pending()):
                return


def _shut(connection: socket.socket, how: int) -> None:
    """shutdown(2) itself: SSLSocket's own method would also drop the encryption of what is still to be sent."""
    try:
        socket.socket.shutdown(connection, how)
    except OSError as error:
        log.debug("the connection was gone already: %s", error)


class WebsockifyEngine:
    """Accepts on the event loop, serves on threads. Also the `server` object websockify's handler looks at."""

    only_upgrade, logger, ws_connection, handler_id, auth_plugin = True, _wire_log, False, 0, None

    def __init__(self, floor: Floor):
        self.floor = floor
        self.token_plugin = TicketTokens(floor)
        self._loop = asyncio.get_running_loop()
        self._accepting: list[asyncio.Task[None]] = []
        self._open: set[threading.Thread] = set()

    async def listen(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        self._accepting.append(self._loop.create_task(self._accept(listener, tls)))

    async def _accept(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        with listener:
            while True:
                connection, _ = await self._loop.sock_accept(listener)
                self._start(connection, b"", tls)

    async def adopt(self, connection: socket.socket, request: bytes = b"") -> None:
        self._start(connection, request, None)

    def _start(self, connection: socket.socket, first: bytes, tls: ssl.SSLContext | None) -> None:
        thread = threading.Thread(target=self._serve, args=(connection, first, tls), daemon=True)
        self._open.add(thread)
        thread.start()

    def _serve(self, connection: socket.socket, first: bytes, tls: ssl.SSLContext | None) -> None:
        try:
            connection.settimeout(self.floor.limits.handshake)
            address = connection.getpeername()
            if tls:
                connection = tls.wrap_socket(connection, server_side=True)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            TicketHandler(connection, address, self, first)
        except (OSError, ValueError) as error:
            log.debug("connection ended: %s", error)
        except Exception:
            log.exception("a console thread failed")
        finally:
            connection.close()
            self._open.discard(threading.current_thread())

    def expire_later(self, handler: TicketHandler) -> "_Expiry":
        return _Expiry(self._loop, self.floor.limits.handshake, handler)

    async def stop_listening(self) -> None:
        for task in self._accepting:
            task.cancel()

    def open_connections(self) -> int:
        return len(self._open)


class _Expiry:
    """A loop timer that may be started and cancelled from another thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, delay: float, handler: TicketHandler):
        self._loop, self._cancelled = loop, False
        self._timer: asyncio.TimerHandle | None = None
        loop.call_soon_threadsafe(self._start, delay, handler)

    def _start(self, delay: float, handler: TicketHandler) -> None:
        if not self._cancelled:
            self._timer = self._loop.call_later(delay, handler.expire)

    def cancel(self) -> None:
        self._cancelled = True
        self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        if self._timer:
            self._timer.cancel()


build = WebsockifyEngine
