"""The clipboard's policies against a real QEMU: what one client copies, another gets only as far as its policy lets it.

QEMU itself hands text from one VNC client to the next as it does to and from the desktop's agent. One client comes
through the gateway and is held to a policy, the other stands for the machine and may do all.
"""

import asyncio
import socket
import struct
import zlib

import pytest

from broker.gateway.desk import Admitted, Target, Terms

from .test_qemu import qemu, wait_for_port

pytestmark = [pytest.mark.asyncio, pytest.mark.lab, pytest.mark.timeout(60)]
EXTENDED = -0x3F5E1A32
TEXT, CAPS, REQUEST, NOTIFY, PROVIDE = 1, 1 << 24, 1 << 25, 1 << 27, 1 << 28


def cut(flags: int, payload: bytes = b"") -> bytes:
    return struct.pack(">BxxxiI", 6, -4 - len(payload), flags) + payload


def provide(text: bytes) -> bytes:
    return cut(PROVIDE | TEXT, zlib.compress(struct.pack(">I", len(text)) + text))


def reads(ws):
    """Reads so many bytes, however they were cut into messages."""
    waiting = bytearray()

    async def read(count: int) -> bytes:
        while len(waiting) < count:
            waiting.extend(await ws.recv())
        taken = bytes(waiting[:count])
        del waiting[:count]
        return taken

    return read


class Client:
    """Speaks RFB from the handshake on; `heard` are what the clipboard said, as (action, text)."""

    def __init__(self, read, send):
        self._read, self._send = read, send
        self.heard: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()
        self.text = b""
        self.ready = asyncio.Event()

    async def begin(self) -> None:
        await self._read(12)
        await self._send(b"RFB 003.008\n")
        kinds = (await self._read(1))[0]
        await self._read(kinds)
        await self._send(b"\x01")
        await self._read(4)
        await self._send(b"\x01")
        await self._read(20)
        (name,) = struct.unpack(">I", await self._read(4))
        await self._read(name)
        await self._send(struct.pack(">BxHii", 2, 2, 0, EXTENDED))

    async def listen(self) -> None:
        """What noVNC and every other client does: asks for what is offered, hands out what it has when it is asked."""
        while True:
            kind = (await self._read(1))[0]
            assert kind == 3, kind
            (length,) = struct.unpack(">xxxi", await self._read(7))
            body = await self._read(abs(length))
            assert length < 0, "QEMU sends the plain kind of text to nobody"
            (flags,) = struct.unpack_from(">I", body)
            if flags & CAPS:
                await self._send(cut(CAPS | REQUEST | NOTIFY | PROVIDE | TEXT, struct.pack(">I", 1 << 20)))
                self.ready.set()
            elif flags & NOTIFY and flags & TEXT:
                await self._send(cut(REQUEST | TEXT))
            elif flags & REQUEST:
                await self._send(provide(self.text))
            elif flags & PROVIDE:
                plain = zlib.decompress(body[4:])
                self.heard.put_nowait((flags, plain[4:]))

    async def copy(self, text: bytes) -> None:
        self.text = text
        await self._send(cut(NOTIFY | TEXT))

    async def copy_plain(self, text: bytes) -> None:
        await self._send(struct.pack(">BxxxI", 6, len(text)) + text)

    async def get(self, within: float) -> bytes:
        """The text that came, b"" when none did."""
        try:
            return (await asyncio.wait_for(self.heard.get(), within))[1].rstrip(b"\0")
        except TimeoutError:
            return b""


async def test_text_passes_only_where_the_policy_lets_it(gateway, tmp_path):
    path = str(tmp_path / "vnc.sock")

    def connect() -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.connect(path)
        return client

    with qemu("-vnc", f"unix:{path},share=ignore"):
        await wait_for_port(connect)
        reader, writer = await asyncio.open_unix_connection(path)

        async def send(data: bytes) -> None:
            writer.write(data)

        machine = Client(reader.readexactly, send)
        await machine.begin()
        listening = asyncio.create_task(machine.listen())
        await machine.ready.wait()
        for paste, copy in ((True, True), (True, False), (False, True), (False, False)):
            secret = gateway.desk.issue(Target(unix=path))
            key = list(gateway.desk.tickets)[-1]
            session = f"{paste}-{copy}"
            gateway.desk.tickets[key] = Admitted(session, Target(unix=path), terms=Terms(paste=paste, copy=copy))
            async with gateway.open(secret) as ws:
                await _one_policy(machine, Client(reads(ws), ws.send), session.encode(), paste=paste, copy=copy)
        assert not listening.done()
        listening.cancel()
        writer.close()


async def _one_policy(machine: Client, person: Client, name: bytes, *, paste: bool, copy: bool) -> None:
    """What may not come is waited for shortly: what may, comes in milliseconds."""
    await person.begin()
    listening = asyncio.create_task(person.listen())
    await person.ready.wait()
    out, way_in, old_way = name + " é".encode(), name + b" in", name + b" in the old way"
    await machine.copy(out)
    assert await person.get(20 if copy else 0.3) == (out if copy else b"")
    await person.copy(way_in)
    assert await machine.get(20 if paste else 0.3) == (way_in if paste else b"")
    await person.copy_plain(old_way)
    assert await machine.get(20 if paste else 0.3) == (old_way if paste else b"")
    assert not listening.done(), "it is still connected"
    listening.cancel()
