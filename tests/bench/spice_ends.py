"""The two ends of the SPICE benchmark: a server whose displays send on order, our gateway with an open door, and a

client that opens a session of four channels and lets the picture go unread.
"""

import base64
import os
import resource
import secrets
import socket
import ssl
import struct
import threading
from typing import Any

from tests.bench.gateway_ends import MIB, Stream
from tests.gateway.spice_fakes import CONNECTION, TICKET, channels_list, init, link, message, reply

MAIN, DISPLAY, INPUTS, CURSOR = 1, 2, 3, 4
CHANNELS = ((MAIN, 0), (DISPLAY, 0), (INPUTS, 0), (CURSOR, 0))
MACHINE = "6f1e2a0c-0b5e-4d3f-9a58-6a3c2f1d0e01"
_PICTURE, _DRAWING = 304, 64 * 1024
"""A picture of bulk is many drawings of 64 KiB, as a desktop's is."""
_HEAD = 6


def serve_spice(path: str) -> None:
    """A SPICE server: links, then on each display 64-byte orders that begin with how many bytes to send; in messages.

    It sends by sendfile(2), so that the server costs its core as little as can be. Does not return.
    """
    store = os.memfd_create("drawings")
    os.write(store, message(_PICTURE, os.urandom(_DRAWING - _HEAD)) * (MIB // _DRAWING))
    pixels = os.urandom(_DRAWING)

    def exactly(connection: socket.socket, count: int) -> bytes:
        data = connection.recv(count, socket.MSG_WAITALL)
        if len(data) < count:
            raise EOFError
        return data

    def serve(connection: socket.socket) -> None:
        try:
            (size,) = struct.unpack("<12xI", exactly(connection, 16))
            kind = exactly(connection, size)[4]
            connection.sendall(reply())
            exactly(connection, len(TICKET))
            connection.sendall(bytes(4))
            if kind == MAIN:
                connection.sendall(init() + channels_list(CHANNELS))
            elif kind == DISPLAY:
                connection.sendall(message(_PICTURE, bytes(64)))
            while True:
                left = int.from_bytes(exactly(connection, 64)[:8], "big")
                if left <= _DRAWING:
                    connection.sendall(message(_PICTURE, pixels[: left - _HEAD]))
                    continue
                while left:
                    sent = os.sendfile(connection.fileno(), store, -left % MIB, min(left, MIB - -left % MIB))
                    left -= sent
        except (OSError, EOFError):
            connection.close()

    threading.stack_size(256 * 1024)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(1024)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def serve_gateway(port: int, path: str, cert: str, *, native: bool) -> None:
    """Our gateway with every ticket valid, for browsers or for native clients. With TLS it is the gateway that ends it:

    in front of the websocket, or behind the CONNECT as Remote Viewer speaks it.
    """
    from broker.gateway.admission import Policy
    from broker.gateway.desk import Admitted, Target
    from broker.gateway.floor import Floor, browser_context
    from broker.gateway.process import Doors, run

    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    tls = browser_context(cert) if cert else None

    class OpenDesk:
        def redeem(self, presented: Any) -> Admitted:
            return Admitted(secrets.token_hex(8), Target(unix=path))

        def leg(self, presented: Any) -> ssl.SSLContext | None:
            return tls

        def revalidate(self, alive: Any) -> dict[str, Any]:
            return {}

        def closed(self, console: Any, closing: Any) -> None:
            return None

        def recorded(self, recording: Any, why: str, size: int) -> None:
            return None

    where = ("127.0.0.1", port)
    doors = Doors(native=where) if native else Doors(listen=where, tls=tls)
    run(Floor(OpenDesk(), Policy.of(["http://bench"])), doors)


class Channel(Stream):
    """The client's end of one channel: by websocket, by CONNECT, or plain through a relay that knows of neither."""

    def __init__(self, port: int, *, way: str, tls: ssl.SSLContext | None, secret: str, kind: int):
        super().__init__(port, websocket=way == "websocket", tls=None if way == "connect" else tls)
        self.way, self.secret, self.kind = way, secret, kind
        self._inner = tls if way == "connect" else None

    def ask(self) -> None:
        """Say what is wanted, before SPICE."""
        if self.way == "websocket":
            self.socket.sendall(_upgrade(self.secret))
        elif self.way == "connect":
            self.socket.sendall(_connect(self.secret, tls=self._inner is not None))

    def answered(self) -> None:
        if self.way == "plain":
            return
        head = b""
        while not head.endswith(b"\r\n\r\n"):  # nothing comes after it before the client has spoken
            head += (received := self.socket.recv(4096))
            assert received, head
        assert head.startswith(b"HTTP/1.1 101" if self.websocket else b"HTTP/1.1 200"), head
        if self._inner:
            self.socket = self._inner.wrap_socket(self.socket)

    def link(self) -> None:
        self.send(link(self.kind, 0, 0 if self.kind == MAIN else CONNECTION))

    def linked(self) -> None:
        (size,) = struct.unpack("<12xI", self.take(16))
        (error,) = struct.unpack_from("<I", self.take(size))
        assert not error, f"refused with {error}"
        self.send_ticket()

    def send_ticket(self) -> None:
        if self.websocket:
            self.socket.sendall(struct.pack(">BBH4x", 0x82, 0x80 | 126, len(TICKET)) + TICKET)
        else:
            self.socket.sendall(TICKET)

    def ready(self) -> None:
        """Until the machine has said all that it says by itself."""
        wanted = {MAIN: len(init() + channels_list(CHANNELS)), DISPLAY: len(message(_PICTURE, bytes(64)))}
        self.take(4 + wanted.get(self.kind, 0))


class Display(Channel):
    """The display of a session of its own; the main channel is held with it."""

    def __init__(self, port: int, *, way: str, tls: ssl.SSLContext | None):
        secret = secrets.token_urlsafe(32)
        self.main = Channel(port, way=way, tls=tls, secret=secret, kind=MAIN)
        open_together([self.main])
        super().__init__(port, way=way, tls=tls, secret=secret, kind=DISPLAY)

    def open(self) -> "Display":
        open_together([self])
        return self


def open_together(channels: list[Channel]) -> None:
    """Each step of all of them before the next step: what is waited for is the relay and not one channel."""
    for step in (Channel.ask, Channel.answered, Channel.link, Channel.linked, Channel.ready):
        for channel in channels:
            step(channel)


def sessions(port: int, count: int, *, way: str, tls: ssl.SSLContext | None) -> list[Channel]:
    """Open so many whole sessions at once; returns their channels, each to be closed."""
    tickets = [secrets.token_urlsafe(32) for _ in range(count)]
    channels = [Channel(port, way=way, tls=tls, secret=ticket, kind=MAIN) for ticket in tickets]
    open_together(channels)
    others = [
        Channel(port, way=way, tls=tls, secret=ticket, kind=kind) for ticket in tickets for kind, _ in CHANNELS[1:]
    ]
    open_together(others)
    return channels + others


def _upgrade(secret: str) -> bytes:
    return (
        "GET /console/spice HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\nOrigin: http://bench\r\nCookie: sessionid=x\r\n"
        f"Sec-WebSocket-Protocol: binary, berth.ticket.{secret}\r\n\r\n"
    ).encode()


def _connect(secret: str, *, tls: bool) -> bytes:
    to = f"{MACHINE}.berth.invalid:{5901 if tls else 5900}"
    credentials = base64.b64encode(f"berth:{secret}".encode()).decode()
    return f"CONNECT {to} HTTP/1.0\r\nHost: {to}\r\nProxy-Authorization: Basic {credentials}\r\n\r\n".encode()
