"""A console gateway that needs no machine: speaks RFB over a websocket, paints one colour, notes what is typed."""

import asyncio
import struct
import zlib
from typing import Any

WIDTH, HEIGHT = 64, 48
VERSION = b"RFB 003.008\n"
FORMAT = struct.pack(">BBBBHHHBBB3x", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
_TEXT, _CAPS, _REQUEST, _NOTIFY, _PROVIDE = 1, 1 << 24, 1 << 25, 1 << 27, 1 << 28


class FakeGateway:
    """An ASGI application. `refuse_with` closes the next connections by that code; `keys` are (keysym, down) pairs."""

    def __init__(self) -> None:
        self.keys: list[tuple[int, bool]] = []
        self.pointers: list[tuple[int, int, int]] = []  # buttons, x, y
        self.pasted: list[bytes] = []  # what the browser gave of its clipboard, when it was asked
        self.shares_clipboard = False  # as QEMU does, by the extended clipboard
        self.tickets: list[str] = []
        self.refuse_with: int | None = None
        self.drop_after_first_picture = 0
        self.echoes = 0  # how often it was asked whether it is there
        self._silent = 0  # so many connections, the first, are dead
        self._open: list[tuple[asyncio.AbstractEventLoop, Any]] = []
        self.typed: list[tuple[bytes, bytes]] = []
        self.name = b"fake"
        self.cut = b""  # the text of the guest's clipboard, told after the first picture
        self.line: bytes | None = None  # what a serial line says at first; it then echoes what is typed

    def close_all(self, code: int) -> None:
        """Close what is open, as a gateway that stops; called from the test's thread."""
        for loop, send in self._open:
            asyncio.run_coroutine_threadsafe(send({"type": "websocket.close", "code": code}), loop).result(10)
        self._open.clear()

    def go_silent(self) -> None:
        """From now on nothing comes on the lines that are open, and nothing tells so: packets are lost on the way."""
        self._silent = len(self.tickets)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        offered = scope["subprotocols"]
        self.tickets += [name.removeprefix("berth.ticket.") for name in offered if name.startswith("berth.ticket.")]
        await send({"type": "websocket.accept", "subprotocol": "binary"})
        if self.refuse_with:
            await send({"type": "websocket.close", "code": self.refuse_with})
            return
        self._open.append((asyncio.get_running_loop(), send))
        self._buffer = b""
        line = len(self.tickets)

        async def heard() -> Any:
            while True:
                message = await receive()
                if message["type"] == "websocket.disconnect":
                    return message
                if line <= self._silent:
                    continue
                if message.get("text") != "echo":
                    return message
                self.echoes += 1
                await send({"type": "websocket.send", "text": "echo"})

        self._receive, self._send = heard, send
        try:
            await (self._speak() if self.line is None else self._be_a_line())
        except ConnectionError:
            return

    async def _be_a_line(self) -> None:
        await self._say(self.line or b"")
        while True:
            head = await self._hear(4)
            typed = await self._hear(int.from_bytes(head[1:], "big"))
            self.typed.append((head[:1], typed))
            if head[:1] == b"d":
                await self._say(head + typed)

    async def _say(self, data: bytes) -> None:
        await self._send({"type": "websocket.send", "bytes": data})

    async def _hear(self, count: int) -> bytes:
        while len(self._buffer) < count:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                raise ConnectionError
            self._buffer += message.get("bytes") or b""
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    async def _speak(self) -> None:
        """RFB 3.8 (RFC 6143), security type None."""
        await self._say(VERSION)
        await self._hear(12)
        await self._say(b"\x01\x01")
        await self._hear(1)
        await self._say(b"\x00\x00\x00\x00")
        await self._hear(1)
        head = struct.pack(">HH", WIDTH, HEIGHT) + FORMAT + struct.pack(">I", len(self.name))
        await self._say(head + self.name)
        painted = False
        while True:
            kind = (await self._hear(1))[0]
            if kind == 0:
                await self._hear(19)
            elif kind == 2:
                (count,) = struct.unpack(">xH", await self._hear(3))
                await self._hear(4 * count)
            elif kind == 3:
                await self._hear(9)
                if not painted:
                    painted = True
                    await self._paint()
                    if self.shares_clipboard:
                        await self._say_of_text(_CAPS | _REQUEST | _NOTIFY | _PROVIDE, struct.pack(">I", 1 << 20))
                    if self.cut:
                        await self._say(struct.pack(">B3xI", 3, len(self.cut)) + self.cut)
                    if self.drop_after_first_picture:
                        code, self.drop_after_first_picture = self.drop_after_first_picture, 0
                        await self._send({"type": "websocket.close", "code": code})
                        return
            elif kind == 4:
                down, keysym = struct.unpack(">BxxI", await self._hear(7))
                self.keys.append((keysym, bool(down)))
            elif kind == 5:
                self.pointers.append(struct.unpack(">BHH", await self._hear(5)))
            elif kind == 6:
                (length,) = struct.unpack(">3xi", await self._hear(7))
                await self._take_text(await self._hear(abs(length)))

    async def _say_of_text(self, actions: int, rest: bytes = b"") -> None:
        await self._say(struct.pack(">B3xiI", 3, -4 - len(rest), actions | _TEXT) + rest)

    async def _take_text(self, message: bytes) -> None:
        if not self.shares_clipboard:
            return
        (flags,) = struct.unpack_from(">I", message)
        if flags & _NOTIFY:
            await self._say_of_text(_REQUEST)
        elif flags & _PROVIDE:
            plain = zlib.decompressobj().decompress(message[4:])
            assert len(plain) == 4 + int.from_bytes(plain[:4], "big")
            self.pasted.append(plain[4:])

    async def _paint(self) -> None:
        """One raw rectangle of plain blue."""
        pixel = bytes((0x20, 0x80, 0xF0, 0))
        head = struct.pack(">BxHHHHHi", 0, 1, 0, 0, WIDTH, HEIGHT, 0)
        await self._say(head + pixel * (WIDTH * HEIGHT))
