"""A machine that speaks RFB, a desk that keeps its tickets in memory, and a browser's side of a console."""

import asyncio
import base64
import contextlib
import hashlib
import os
import secrets
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

from websockets.asyncio.client import ClientConnection, connect

from broker.gateway import closing as why
from broker.gateway.admission import Policy
from broker.gateway.desk import Admitted, Alive, Presented, Refused, Target, Terms
from broker.gateway.engines import Engine, make
from broker.gateway.floor import Floor
from broker.gateway.limits import Limits
from broker.gateway.recording import Tape

ORIGIN = "http://vdi.test"
KEY = "browser-session-key"
SERVER_INIT = struct.pack(">HH16sI", 4, 4, bytes(16), 5) + b"fake!"


# A length that divides no power of two, so that a lost or moved byte cannot fit in elsewhere.
PATTERN = os.urandom(100_003)
PATTERN_REPEATS = 600


class MemoryDesk:
    """TicketDesk without a database; tests look at what it was told."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.tickets: dict[str, Admitted] = {}
        self.bound: dict[str, tuple[str, str, str]] = {}
        self.opened: dict[str, tuple[Admitted, float]] = {}
        self.joined_within = 15.0
        self.ended: list[tuple[Alive, why.Closing]] = []
        self.endings: dict[str, why.Closing] = {}
        self.seen: list[Alive] = []
        self.recordings: list[tuple[object, str, int]] = []
        self.own_tls: ssl.SSLContext | None = None
        self.delay = threading.Event()
        self.delay.set()

    def issue(self, target: Target, *, view_only: bool = False, kind: str = "vnc", via: str = "browser",
              machine: str = "", tape: Tape | None = None, terms: Terms | None = None,
              blind: bool | Target = False) -> str:  # fmt: skip
        secret = secrets.token_urlsafe(32)
        self.bound[secret] = (kind, via, machine)
        self.tickets[hashlib.sha256(secret.encode()).hexdigest()] = Admitted(
            secrets.token_hex(8),
            target,
            view_only,
            terms or Terms(),
            tape=tape,
            blind=target if blind is True else blind or None,
        )
        return secret

    def redeem(self, presented: Presented) -> Admitted:
        self.delay.wait(5)
        with self.lock:
            admitted = self.tickets.pop(hashlib.sha256(presented.secret.encode()).hexdigest(), None)
        if admitted is None:
            raise Refused(why.TICKET)
        bound = (presented.kind, presented.via, presented.machine)
        if (
            presented.web_session != (KEY if presented.via == "browser" else "")
            or bound != self.bound[presented.secret]
        ):
            raise Refused(why.FOREIGN)
        self.opened[presented.secret] = admitted, time.monotonic() + self.joined_within
        return admitted

    def join(self, presented: Presented) -> Admitted:
        admitted, within = self.opened.get(presented.secret, (None, 0.0))
        if admitted is None or time.monotonic() > within or presented.web_session != KEY * (presented.via == "browser"):
            raise Refused(why.TICKET)
        return admitted

    def leg(self, presented: Presented) -> ssl.SSLContext | None:
        unused = self.tickets.get(hashlib.sha256(presented.secret.encode()).hexdigest())
        admitted = unused or self.opened.get(presented.secret, (None, 0.0))[0]
        return None if admitted is not None and admitted.blind else self.own_tls

    def revalidate(self, alive):
        self.seen = list(alive)
        return dict(self.endings)

    def closed(self, console: Alive, closing: why.Closing) -> None:
        self.ended.append((console, closing))
        self.opened = {secret: one for secret, one in self.opened.items() if one[0].session != console.session}

    def recorded(self, recording, why: str, size: int) -> None:
        self.recordings.append((recording, why, size))


class FakeServer:
    """A machine's screen on a unix socket, which speaks as `_speak` of a subclass says."""

    def __init__(self, path: Path, *, script: str = "echo", tls: ssl.SSLContext | None = None):
        self.path, self.script, self.tls = path, script, tls
        self.writers: list[asyncio.StreamWriter] = []

    @property
    def target(self) -> Target:
        return Target(unix=str(self.path))

    async def start(self) -> Self:
        self._server = await self._listen()
        return self

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_unix_server(self._serve, str(self.path), ssl=self.tls)

    async def stop(self) -> None:
        self._server.close()
        for writer in self.writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self._speak(reader, writer)
        writer.close()

    async def _speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError


class FakeMachine(FakeServer):
    """A VNC server on a unix socket (or TLS on TCP) that echoes what it gets, sends on demand, or misbehaves."""

    def __init__(self, path: Path, *, script: str = "echo", tls: ssl.SSLContext | None = None):
        super().__init__(path, script=script, tls=tls)
        self.received = bytearray()
        self.port = 0
        self.sent = 0

    @property
    def target(self) -> Target:
        return Target(host="localhost", port=self.port) if self.tls else super().target

    async def _listen(self) -> asyncio.Server:
        if not self.tls:
            return await super()._listen()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)  # it begins TLS within RFB
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.script == "silent":
            await reader.read()
        if self.script == "nonsense":
            writer.write(b"SSH-2.0-OpenSSH\r\n" * 3)
            await reader.read()
            return
        writer.write(b"RFB 003.008\n")
        await reader.readexactly(12)
        if self.script == "stops":
            return
        if self.script == "hangs":
            await reader.read()
            return
        if self.script == "drips":
            for byte in b"\x02\x02\x01" + bytes(4) + SERVER_INIT:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.4)
            return
        if self.tls:
            writer.write(b"\x01\x13")
            assert await reader.readexactly(1) == b"\x13"
            writer.write(b"\x00\x02")
            assert await reader.readexactly(2) == b"\x00\x02"
            writer.write(b"\x00\x01" + struct.pack(">I", 260))
            assert await reader.readexactly(4) == struct.pack(">I", 260)
            writer.write(b"\x01")
            await writer.start_tls(self.tls)
        else:
            writer.write(b"\x02\x02\x01" if self.script != "password" else b"\x01\x02")
            await reader.readexactly(1)
        writer.write(bytes(4))
        self.shared = await reader.readexactly(1)
        writer.write(SERVER_INIT)
        if self.script == "flood":
            block = os.urandom(65536)
            while True:
                writer.write(block)
                await writer.drain()
                self.sent += len(block)
        if self.script == "pattern":
            for _ in range(PATTERN_REPEATS):
                writer.write(PATTERN)
                await writer.drain()
        if self.script == "deaf":
            await asyncio.sleep(3600)
        while data := await reader.read(65536):
            self.received += data
            if self.script == "echo":
                writer.write(data)
                await writer.drain()


class Gateway:
    """An engine on a port of this test's own loop."""

    def __init__(self, engine: Engine, floor: Floor, port: int, tls: ssl.SSLContext | None):
        self.engine, self.floor, self.port, self.tls = engine, floor, port, tls
        self.desk: MemoryDesk = floor.desk

    def open(self, secret: str, *, origin: str | None = ORIGIN, key: str | None = KEY, path: str = "/console/ws",
             subprotocols: list[str] | None = None, **options) -> connect:  # fmt: skip
        headers = {"Cookie": f"csrftoken=x; sessionid={key}"} if key else {}
        return connect(
            f"{'wss' if self.tls else 'ws'}://localhost:{self.port}{path}",
            origin=origin,
            subprotocols=["binary", f"berth.ticket.{secret}"] if subprotocols is None else subprotocols,
            additional_headers=headers,
            compression=None,
            max_size=None,
            proxy=None,
            **options,
        )

    @contextlib.asynccontextmanager
    async def shaken(self, target: Target, *, view_only: bool = False, **options) -> AsyncIterator["Browser"]:
        async with self.open(self.desk.issue(target, view_only=view_only), **options) as ws:
            browser = Browser(ws)
            await browser.shake()
            yield browser

    async def raw(self, secret: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A websocket on which the test writes its own frames."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(upgrade(secret, key=getattr(self, "key", KEY)))
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert answer.startswith(b"HTTP/1.1 101 "), answer
        return reader, writer


class Browser:
    """What noVNC does, in ten lines."""

    def __init__(self, ws: ClientConnection):
        self.ws, self.buffer = ws, bytearray()

    async def read(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self.buffer += await asyncio.wait_for(self.ws.recv(), 10)
        taken = bytes(self.buffer[:count])
        del self.buffer[:count]
        return taken

    async def shake(self) -> None:
        assert await self.read(12) == b"RFB 003.008\n"
        await self.ws.send(b"RFB 003.008\n")
        assert await self.read(2) == b"\x01\x01", "only security type None is offered"
        await self.ws.send(b"\x01")
        assert await self.read(4) == bytes(4)
        await self.ws.send(b"\x00")
        assert await self.read(len(SERVER_INIT)) == SERVER_INIT


def upgrade(
    secret: str, *, origin: str = ORIGIN, key: str = KEY, path: str = "/console/ws", host: str = "vdi.test"
) -> bytes:
    nonce = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {nonce}\r\nOrigin: {origin}\r\nCookie: sessionid={key}\r\n"
        f"Sec-WebSocket-Protocol: binary, berth.ticket.{secret}\r\n\r\n"
    ).encode()


def frame(payload: bytes, *, opcode: int = 2, masked: bool = True, length: int | None = None) -> bytes:
    size = len(payload) if length is None else length
    bit = 0x80 if masked else 0
    if size < 126:
        head = struct.pack(">BB", 0x80 | opcode, bit | size)
    elif size < 65536:
        head = struct.pack(">BBH", 0x80 | opcode, bit | 126, size)
    else:
        head = struct.pack(">BBQ", 0x80 | opcode, bit | 127, size)
    return head + (bytes(4) if masked else b"") + payload


async def read_close(reader: asyncio.StreamReader) -> tuple[int, str]:
    """The code and reason of the next close frame, skipping what comes before it."""
    while True:
        first, second = await asyncio.wait_for(reader.readexactly(2), 10)
        size = second & 0x7F
        if size == 126:
            size = int.from_bytes(await reader.readexactly(2), "big")
        elif size == 127:
            size = int.from_bytes(await reader.readexactly(8), "big")
        payload = await reader.readexactly(size)
        if first & 0x0F == 8:
            return int.from_bytes(payload[:2], "big"), payload[2:].decode()


async def start_gateway(name: str, *, tls: ssl.SSLContext | None = None, hypervisor_tls: ssl.SSLContext | None = None,
                        desk: MemoryDesk | None = None, **limits) -> Gateway:  # fmt: skip
    floor = Floor(desk or MemoryDesk(), Policy.of([ORIGIN]), Limits(**limits), hypervisor_tls)
    engine = make(name, floor)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    await engine.listen(listener, tls)
    return Gateway(engine, floor, listener.getsockname()[1], tls)


async def stop_gateway(gateway: Gateway) -> None:
    gateway.floor.consoles.end_all(why.RESTARTING)
    await gateway.engine.stop_listening()
    for _ in range(300):
        if not gateway.engine.open_connections():
            break
        await asyncio.sleep(0.01)
    gateway.floor.pool.shutdown()


async def until(condition, seconds: float = 5.0) -> None:
    """Wait until it is true; the caller's assertion names what was waited for."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def make_pki(directory: Path) -> Path:
    """A CA and one certificate for localhost that serves as server and client, under the names QEMU wants."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=directory)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca-key.pem",
            "-out", "ca-cert.pem", "-days", "2",
            "-subj", "/CN=test CA", "-addext", "keyUsage=keyCertSign,cRLSign")  # fmt: skip
    for role in ("server", "client"):
        (directory / f"{role}.ext").write_text(
            "subjectAltName=DNS:localhost,IP:127.0.0.1\nkeyUsage=digitalSignature,keyEncipherment\n"
            f"extendedKeyUsage={role}Auth\n"
        )
        openssl(
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            f"{role}-key.pem",
            "-out",
            f"{role}.csr",
            "-subj",
            "/CN=localhost",
        )
        openssl("x509", "-req", "-in", f"{role}.csr", "-CA", "ca-cert.pem", "-CAkey", "ca-key.pem", "-CAcreateserial",
                "-days", "2", "-extfile", f"{role}.ext", "-out", f"{role}-cert.pem")  # fmt: skip
    return directory
