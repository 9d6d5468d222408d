"""Consoles: a door for Berth's gateways alone, behind which are the screens of this host's machines.

So no screen has a port on the network: QEMU listens on unix sockets, and the one way to them is TLS with a certificate
that Berth's authority issued to Berth itself. Whoever comes names a machine and a kind of console in one line; where
that is, libvirt's own notes say, never the request. A process of its own: what passes here slows no lease.

Of a native SPICE client TLS may end here and not before ("spice-tls"): what the gateway passes on it cannot read then.
"""

import asyncio
import json
import re
import socket
import ssl
import sys
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import guests
from .config import Config
from .records import Records
from .sockets import connected

PORT = 16516
TLS_SPICE, TLS_SINCE = "spice-tls", 2
"""Within the gateway's TLS the client speaks its own, with this host; agents of which version do."""
KINDS = {"vnc": "vnc", "spice": "spice", TLS_SPICE: "spice"}
LONGEST = 256
SECONDS = 5.0  # for TLS and the one line together
MOST = 512
MOST_TO_ONE = 64  # a SPICE client opens up to ten connections
MOST_WAITING, MOST_WAITING_FROM_ONE = 128, 16
CHUNK = 64 * 1024
OURS = (("organizationName", "Berth"),)  # hosts of the same authority are "Berth host" (pki/authority.py)
CA, CERTIFICATE, KEY = (
    "etc/pki/CA/cacert.pem",
    "etc/pki/libvirt/servercert.pem",
    "etc/pki/libvirt/private/serverkey.pem",
)
LOOK_EVERY = 2.0
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def opening(machine: str, kind: str) -> bytes:
    """What a gateway sends first. The answer is one line: `ok`, or `no` and a word."""
    return json.dumps({"machine": machine, "console": kind}).encode() + b"\n"


class NotServed(Exception):
    """The word of refusal."""


def read(line: bytes) -> tuple[str, str]:
    """Machine and kind. Raises NotServed for anything but what `opening` makes."""
    try:
        told = json.loads(line) if len(line) <= LONGEST else None
    except (ValueError, RecursionError):
        told = None
    machine, kind = (told.get("machine"), told.get("console")) if isinstance(told, dict) else (None, None)
    if not isinstance(machine, str) or not _UUID.fullmatch(machine) or kind not in KINDS:
        raise NotServed("request")
    return machine, kind


def context(root: Path) -> ssl.SSLContext:
    """The host's certificate, and of whoever comes one of the same authority. Raises OSError until there are any."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_cert_chain(root / CERTIFICATE, root / KEY)
    made.load_verify_locations(root / CA)
    made.verify_mode = ssl.CERT_REQUIRED
    return made


def open_context(root: Path) -> ssl.SSLContext:
    """For clients of users, which show no certificate: the gateway has seen their ticket."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.load_cert_chain(root / CERTIFICATE, root / KEY)
    return made


def is_berth(certificate: Any) -> bool:
    """Whether a verified certificate was issued to Berth itself."""
    names = [name for name in (certificate or {}).get("subject", ()) if name[0][0] == "organizationName"]
    return names == [OURS]


class Consoles:
    """Serves one listening socket after the other; what runs goes on when the certificate is renewed."""

    def __init__(self, config: Config):
        self._config = config
        self._waiting: Counter[str] = Counter()
        self._running: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, port: int, until: asyncio.Event) -> None:
        """Until the event; then nothing new is taken, and what runs may end by itself."""
        root, said = Path(self._config.root), ""
        while not until.is_set():
            try:
                stamp, tls = _stamp(root), context(root)
                listener = _listener(port)
            except OSError as error:
                if (problem := str(error)) != said:
                    print(f"consoles are not served: {problem}", file=sys.stderr, flush=True)
                said = problem
                await _wait(until, LOOK_EVERY)
                continue
            listener.setblocking(False)
            said, accepting = "", self._go(self._accept(listener, tls))
            while not until.is_set() and not accepting.done() and _stamp(root) == stamp:
                await _wait(until, LOOK_EVERY)
            accepting.cancel()
            await asyncio.wait([accepting])
            listener.close()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _accept(self, listener: socket.socket, tls: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, address = await loop.sock_accept(listener)
            except OSError:
                await asyncio.sleep(0.2)  # out of descriptors: some will end
                continue
            peer = str(address[0])
            if self._waiting.total() >= MOST_WAITING or self._waiting[peer] >= MOST_WAITING_FROM_ONE:
                sock.close()
                continue
            self._waiting[peer] += 1
            self._go(self._guide(sock, peer, tls))

    def _go(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guide(self, sock: socket.socket, peer: str, tls: ssl.SSLContext) -> None:
        """From the knock to the machine within SECONDS; then until one side ends."""
        try:
            async with asyncio.timeout(SECONDS):
                met = await self._meet(sock, tls)
        except (OSError, EOFError, asyncio.LimitOverrunError):
            return
        finally:
            _less(self._waiting, peer)
        if met is None:
            return
        try:
            _keep_watch(sock)
            down = _carry_records if met.writer is not met.outer else _carry
            await _either(_carry(met.reader, met.to_machine), down(met.from_machine, met.writer))
        finally:
            met.to_machine.transport.abort()
            met.writer.close()
            _less(self._running, met.name)

    async def _meet(self, sock: socket.socket, tls: ssl.SSLContext) -> "_Met | None":
        """Hear who comes and what is wanted, and answer; None when that was no."""
        reader, writer = await _streams(sock, tls)
        name = ""
        try:
            if not is_berth(writer.get_extra_info("peercert")):
                writer.close()
                return None
            machine, kind = read(await reader.readuntil(b"\n"))
            place = self._place(machine, KINDS[kind])
            name = machine
            self._running[name] += 1
            from_machine, to_machine = await _dial(place)
            writer.write(b"ok\n")
            outer = writer
            if kind == TLS_SPICE:
                try:
                    reader, writer = await _within(outer, open_context(Path(self._config.root)))
                except BaseException:
                    to_machine.transport.abort()
                    raise
            return _Met(name, reader, writer, from_machine, to_machine, outer)
        except NotServed as refusal:
            writer.write(f"no {refusal}\n".encode())
            writer.close()
            _less(self._running, name)
            return None
        except BaseException:
            writer.transport.abort()
            _less(self._running, name)
            raise

    def _place(self, machine: str, kind: str) -> str:
        """The socket of its screen. Raises NotServed."""
        if self._running.total() >= MOST or self._running[machine] >= MOST_TO_ONE:
            raise NotServed("full")
        guest = guests.find(self._config.guests, machine)
        place = dict(guest.screens).get(kind) if guest else None
        if place is None:
            raise NotServed("unknown")
        return place


@dataclass(frozen=True)
class _Met:
    """`outer` is the gateway's own: a writer that nobody holds closes its connection."""

    name: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    from_machine: asyncio.StreamReader
    to_machine: asyncio.StreamWriter
    outer: asyncio.StreamWriter


def _less(counted: Counter[str], name: str) -> None:
    """One less; what is at nothing is forgotten."""
    if counted[name] > 1:
        counted[name] -= 1
    else:
        counted.pop(name, None)


async def _dial(place: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        async with asyncio.timeout(SECONDS):
            return await asyncio.open_unix_connection(sock=await connected(place), limit=CHUNK)
    except OSError:  # also a machine that takes nobody for so long
        raise NotServed("unknown") from None


async def _streams(sock: socket.socket, tls: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader(limit=CHUNK)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_accepted_socket(
        lambda: protocol, sock, ssl=tls, ssl_handshake_timeout=SECONDS, ssl_shutdown_timeout=1.0
    )
    transport.set_write_buffer_limits(high=CHUNK)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _within(
    outer: asyncio.StreamWriter, tls: ssl.SSLContext
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The client's TLS within the gateway's. Nothing came yet: it waits for the answer that was just written."""
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader(limit=CHUNK)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport = await loop.start_tls(
        outer.transport, protocol, tls, server_side=True, ssl_handshake_timeout=SECONDS, ssl_shutdown_timeout=1.0
    )
    if transport is None:
        raise ConnectionError("closed during TLS")
    protocol.connection_made(transport)
    transport.set_write_buffer_limits(high=CHUNK)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _carry_records(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """The same for a SPICE client behind TLS of ours."""
    records = Records()
    with suppress(OSError):
        while data := await source.read(CHUNK):
            for piece in records.cut(data):
                target.write(piece)
            await target.drain()


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """What comes is passed on before more is read."""
    with suppress(OSError):
        while data := await source.read(CHUNK):
            target.write(data)
            await target.drain()


async def _either(*work: Coroutine[Any, Any, None]) -> None:
    """Until the first ends; the other ends with it."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


def _listener(port: int) -> socket.socket:
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    return socket.create_server(("", port), family=family, backlog=64, dualstack_ipv6=both)


def _stamp(root: Path) -> tuple[int, ...]:
    try:
        return tuple((root / place).stat().st_mtime_ns for place in (CA, CERTIFICATE, KEY))
    except OSError:
        return ()


def _keep_watch(sock: socket.socket) -> None:
    """A gateway whose machine is gone is noticed within half a minute."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


def run(path: Path, lifeline: socket.socket, *, port: int = PORT) -> None:
    """Serve until the guard at the other end of the lifeline is gone, and what runs has ended."""
    asyncio.run(_run(Config.load(path), lifeline, port))


async def _run(config: Config, lifeline: socket.socket, port: int) -> None:
    loop, gone = asyncio.get_running_loop(), asyncio.Event()
    lifeline.setblocking(False)

    def look() -> None:
        with suppress(BlockingIOError):
            if not lifeline.recv(4096):
                loop.remove_reader(lifeline)
                gone.set()

    loop.add_reader(lifeline, look)
    await Consoles(config).serve(port, gone)
