"""A SPICE server that speaks the link handshake and echoes, and the client's side of a channel."""

import asyncio
import ssl
import struct
from pathlib import Path

from .fakes import FakeServer

MAGIC = b"REDQ"
CAPABILITIES = 0b1001  # authentication is selected, mini headers
CONNECTION = 0x1234_5678
CHANNELS = ((1, 0), (2, 0), (3, 0), (4, 0), (9, 0))


def link(kind: int, number: int = 0, connection: int = 0, *, capabilities: int = CAPABILITIES) -> bytes:
    body = struct.pack("<IBBIIII", connection, kind, number, 1, 0, 18, capabilities)
    return struct.pack("<4sIII", MAGIC, 2, 2, len(body)) + body


def reply(error: int = 0, *, capabilities: int = CAPABILITIES) -> bytes:
    body = struct.pack("<I162sIIII", error, b"k" * 162, 1, 0, 178, capabilities)
    return struct.pack("<4sIII", MAGIC, 2, 2, len(body)) + body


def message(kind: int, body: bytes = b"") -> bytes:
    return struct.pack("<HI", kind, len(body)) + body


def init(connection: int = CONNECTION) -> bytes:
    return message(103, struct.pack("<8I", connection, 1, 3, 2, 0, 10, 0, 0))


def channels_list(channels=CHANNELS) -> bytes:
    return message(104, struct.pack("<I", len(channels)) + b"".join(bytes(pair) for pair in channels))


TICKET = struct.pack("<I", 1) + b"e" * 128


class FakeSpice(FakeServer):
    """On a unix socket. `links` are the channels that were opened, `received` what came after their tickets."""

    def __init__(self, path: Path, *, script: str = "echo", tls: ssl.SSLContext | None = None):
        super().__init__(path, script=script, tls=tls)
        self.links: list[tuple[int, int, int]] = []
        self.received: dict[int, bytearray] = {}

    async def _speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        header = await reader.readexactly(16)
        body = await reader.readexactly(struct.unpack("<4sIII", header)[3])
        connection, kind, number = struct.unpack_from("<IBB", body)
        self.links.append((connection, kind, number))
        if self.script == "nonsense":
            writer.write(b"RFB 003.008\n" * 20)
            await reader.read()
        if self.script == "silent":
            await reader.read()
        if self.script == "stops":
            writer.write(reply()[:40])
            return
        writer.write(reply())
        await reader.readexactly(132)
        writer.write(bytes(4))
        if kind == 1:
            writer.write(init() + channels_list())
        elif kind == 2:
            writer.write(message(314, bytes(20)) + message(304, bytes(50)))
        got = self.received.setdefault(kind, bytearray())
        while data := await reader.read(65536):
            got += data
            if self.script == "echo":
                writer.write(message(113, data))
                await writer.drain()


class Pipe:
    """One channel as a client has it: over a websocket or a plain connection, whatever `read` and `write` are."""

    def __init__(self, receive, send):
        self._receive, self.send, self.buffer = receive, send, bytearray()

    async def read(self, count: int) -> bytes:
        while len(self.buffer) < count:
            data = await asyncio.wait_for(self._receive(), 10)
            if not data:
                raise ConnectionError("closed")
            self.buffer += data
        taken = bytes(self.buffer[:count])
        del self.buffer[:count]
        return taken

    async def message(self) -> tuple[int, bytes]:
        kind, size = struct.unpack("<HI", await self.read(6))
        return kind, await self.read(size)

    async def shake(self, kind: int, number: int = 0, connection: int = 0) -> None:
        """Up to where messages begin. Raises ConnectionError when the channel is refused."""
        await self.send(link(kind, number, connection))
        (size,) = struct.unpack("<12xI", await self.read(16))
        (error,) = struct.unpack_from("<I", await self.read(size))
        if error:
            raise ConnectionError(f"refused with {error}")
        await self.send(TICKET)
        assert await self.read(4) == bytes(4)
