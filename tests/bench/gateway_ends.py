"""The two ends of the gateway benchmark: a VNC-like backend, our gateway with an open door, and a frugal client."""

import base64
import itertools
import os
import resource
import socket
import ssl
import struct
import threading
from pathlib import Path
from typing import Any

MIB = 1024 * 1024
SERVER_INIT = struct.pack(">HH16sI", 4, 4, bytes(16), 0)
SECRET = "s" * 43
UPGRADE = (
    "GET /console/ws HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\nOrigin: http://bench\r\nCookie: sessionid=x\r\n"
    f"Sec-WebSocket-Protocol: binary, berth.ticket.{SECRET}\r\n\r\n"
).encode()


def serve_backend(path: str) -> None:
    """A VNC-like server: handshake, then 64-byte orders that begin with how many bytes to send.

    It sends by sendfile(2), so that the backend costs its core as little as can be.
    """
    store = os.memfd_create("pixels")
    os.write(store, os.urandom(MIB))

    def exactly(connection: socket.socket, count: int) -> bytes:
        data = connection.recv(count, socket.MSG_WAITALL)
        if len(data) < count:
            raise EOFError
        return data

    def serve(connection: socket.socket) -> None:
        try:
            for answer, expected in ((b"RFB 003.008\n", 12), (b"\x01\x01", 1), (bytes(4), 1)):
                connection.sendall(answer)
                exactly(connection, expected)
            connection.sendall(SERVER_INIT)
            while True:
                left = int.from_bytes(exactly(connection, 64)[:8], "big")
                while left:
                    left -= os.sendfile(connection.fileno(), store, 0, min(left, MIB))
        except (OSError, EOFError):
            connection.close()

    threading.stack_size(256 * 1024)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(1024)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def serve_gateway(
    port: int, path: str | list[str], cert: str, *, record_to: str = "", view_only: bool = False, whole: bool = False
) -> None:
    """Our gateway with every ticket valid, for one machine or several in turn. `whole`: with all that the real program

    has loaded.

    What is recorded goes to the directory `record_to`, where each recording's end is told too.
    """
    from secrets import token_bytes, token_hex
    from uuid import uuid4

    from broker.gateway.admission import Policy
    from broker.gateway.desk import Admitted, Target
    from broker.gateway.floor import Floor, browser_context
    from broker.gateway.process import Doors, run
    from broker.gateway.recording import Tape

    if whole:
        from broker.gateway.__main__ import _load_django

        _load_django()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)

    machines = itertools.cycle([path] if isinstance(path, str) else path)

    class OpenDesk:
        def redeem(self, presented: Any) -> Admitted:
            tape = None
            if record_to:
                recording = uuid4()
                tape = Tape(recording, f"{record_to}/{recording}.rec", token_bytes(32))
            return Admitted(token_hex(8), Target(unix=next(machines)), view_only=view_only, tape=tape)

        def revalidate(self, alive: Any) -> dict[str, Any]:
            return {}

        def closed(self, console: Any, closing: Any) -> None:
            return None

        def recorded(self, recording: Any, why: str, size: int) -> None:
            Path(record_to, f"{recording}.end").write_text(f"{why} {size}")

    tls = browser_context(cert) if cert else None
    run(Floor(OpenDesk(), Policy.of(["http://bench"])), Doors(listen=("127.0.0.1", port), tls=tls))


class Stream:
    """The client's end of one console; websocket or, through socat, plain."""

    def __init__(self, port: int, *, websocket: bool, tls: ssl.SSLContext | None):
        self.websocket = websocket
        self.socket: socket.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket)
        self.buffer, self.start, self.end = bytearray(1 << 20), 0, 0
        self.view = memoryview(self.buffer)
        self.frame_left = 0

    def open(self) -> "Stream":
        if self.websocket:
            self.socket.sendall(UPGRADE)
            self.finish_upgrade()
        self.shake()
        return self

    def finish_upgrade(self) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.socket.recv(1)
            assert byte, head
            head += byte
        assert head.startswith(b"HTTP/1.1 101"), head

    def shake(self) -> None:
        assert self.take(12) == b"RFB 003.008\n"
        self.send(b"RFB 003.008\n")
        self.take(2)
        self.send(b"\x01")
        self.take(4)
        self.send(b"\x01")
        self.take(len(SERVER_INIT))

    def send(self, data: bytes) -> None:
        self.socket.sendall(struct.pack(">BB4x", 0x82, 0x80 | len(data)) + data if self.websocket else data)

    def order(self, size: int) -> None:
        """Three SetPixelFormat and a SetEncodings by their look, for a gateway that reads along."""
        self.send(size.to_bytes(8, "big") + bytes(52) + b"\x02\0\0\0")

    def take(self, count: int) -> bytes:
        taken = bytearray()
        self.drain(count, taken)
        return bytes(taken)

    def drain(self, count: int, keep: bytearray | None = None) -> None:
        """Read so many payload bytes; frame headers are walked over within the buffer."""
        while count:
            if self.start == self.end and keep is None and count > 65536 and (self.frame_left or not self.websocket):
                count -= self._discard(count)
                continue
            if self.start == self.end or not self._at_payload():
                self._fill()
                continue
            part = min(self.end - self.start, count, self.frame_left if self.websocket else count)
            if keep is not None:
                keep += self.view[self.start : self.start + part]
            self.start += part
            self.frame_left -= part
            count -= part

    def _discard(self, count: int) -> int:
        """Bulk payload leaves the kernel uncopied (MSG_TRUNC, tcp(7)), so that the client is not what is measured."""
        part = min(count, self.frame_left if self.websocket else count, len(self.view))
        flags = 0 if isinstance(self.socket, ssl.SSLSocket) else socket.MSG_TRUNC
        received = self.socket.recv_into(self.view, part, flags)
        assert received, "the relay closed the connection"
        self.frame_left -= received
        return received

    def drain_sealed(self, size: int) -> None:
        """Until the records that carry so many bytes have come, unopened: with TLS, the last thing done with a stream.

        Only the heads are read, and the rest leaves the kernel uncopied, for opening it costs more than relaying it.
        A record of TLS 1.3 is 17 bytes longer than what it carries (RFC 8446, 5.2, AES-GCM's tag and one byte).
        """
        assert isinstance(self.socket, ssl.SSLSocket) and self.socket.version() == "TLSv1.3" and self.start == self.end
        raw = socket.socket(fileno=self.socket.detach())
        self.socket = raw
        head = bytearray(5)
        while size > 0:
            received = raw.recv_into(head, 5, socket.MSG_WAITALL)
            assert received == 5 and head[0] == 23, "the relay closed the connection"
            left = int.from_bytes(head[3:], "big")
            size -= left - 17
            while left:
                part = raw.recv_into(self.view, left, socket.MSG_TRUNC | socket.MSG_WAITALL)
                assert part, "the relay closed the connection"
                left -= part

    def _at_payload(self) -> bool:
        if not self.websocket or self.frame_left:
            return True
        have = self.end - self.start
        if have < 2:
            return False
        assert self.buffer[self.start] in (0x82, 0x89), f"unexpected frame {self.buffer[self.start]:#x}"
        size = self.buffer[self.start + 1] & 0x7F
        head = 2 + {126: 2, 127: 8}.get(size, 0)
        if have < head:
            return False
        if size > 125:
            size = int.from_bytes(self.buffer[self.start + 2 : self.start + head], "big")
        if self.buffer[self.start] == 0x89:
            self.start += head + size
            return self._at_payload() if self.start < self.end else False
        self.start += head
        self.frame_left = size
        return self.start < self.end

    def _fill(self) -> None:
        if self.start == self.end:
            self.start = self.end = 0
        elif self.start:
            rest = bytes(self.view[self.start : self.end])
            self.view[: len(rest)] = rest
            self.start, self.end = 0, len(rest)
        # Little when bulk is expected, so that the rest can be discarded.
        received = self.socket.recv_into(self.view[self.end :], 4096 if self.websocket else 0)
        assert received, "the relay closed the connection"
        self.end += received
