"""The unix socket by which gateways come to the serial lines. Runs beside the monitor, on a loop of its own."""

import asyncio
import logging
import socket
import threading
from pathlib import Path

from . import wire
from .hub import LINGER, MOST_UNREAD, Hub, Line, refusal

log = logging.getLogger(__name__)
_HELLO_SECONDS = 5.0


class _Guest:
    """One gateway connection: a `Reader`."""

    def __init__(self, hello: wire.Hello, writer: asyncio.StreamWriter) -> None:
        self.user, self.may_write = hello.user, hello.write
        self._writer = writer

    def send(self, frame: bytes) -> bool:
        if self._writer.is_closing():
            return False
        self._writer.write(frame)
        return self._writer.transport.get_write_buffer_size() < MOST_UNREAD

    def close(self) -> None:
        self._writer.close()


class SerialDoor:
    """Serves the lines on `path` from a thread of its own. Does nothing where another process does already."""

    def __init__(self, path: Path, *, linger: float = LINGER) -> None:
        self._path, self._linger = path, linger
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="serial-door", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._ready.wait(5)

    def stop(self) -> None:
        if self._loop and self._stopping:
            try:
                self._loop.call_soon_threadsafe(self._stopping.set)
            except RuntimeError:
                log.debug("the serial door was shut already")
        self._thread.join(5)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        hub = Hub(linger=self._linger)
        tasks: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(_receive(hub, reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        if (listener := _listen(self._path)) is None:
            log.info("another process of this computer keeps the serial lines")
            self._ready.set()
            await self._stopping.wait()
            return
        server = await asyncio.start_unix_server(accept, sock=listener)
        self._ready.set()
        await self._stopping.wait()
        server.close()
        hub.close()
        for task in list(tasks):
            task.cancel()
        self._path.unlink(missing_ok=True)


def _listen(path: Path) -> socket.socket | None:
    """A listening socket for this user alone; None when somebody listens there."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
            return None
        except ConnectionRefusedError:
            path.unlink()
        except FileNotFoundError:
            pass  # nobody was ever here
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o600)  # the directory kept others out meanwhile
    listener.listen(64)
    return listener


async def _receive(hub: Hub, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    line: Line | None = None
    guest: _Guest | None = None
    try:
        async with asyncio.timeout(_HELLO_SECONDS):
            opening = await reader.readuntil(b"\n")
        if len(opening) > wire.LONGEST_HELLO:
            return
        hello = wire.Hello.read(opening)
        guest = _Guest(hello, writer)
        try:
            line = await hub.line(hello.vm)
        except Exception as error:
            log.info("the serial line of %s does not open: %r", hello.vm, error)
            guest.send(wire.status(refused=refusal(error)))
            await writer.drain()
            return
        line.join(guest)
        await _typed(line, guest, reader)
    except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        log.debug("a reader of a serial line went: %r", error)
    finally:
        if line and guest:
            line.leave(guest)
        writer.close()


async def _typed(line: Line, guest: _Guest, reader: asyncio.StreamReader) -> None:
    while True:
        head = await reader.readexactly(wire.HEADER)
        kind, length = head[:1], int.from_bytes(head[1:], "big")
        if length > wire.LONGEST_TYPED:
            raise ValueError("too much typed at once")
        payload = await reader.readexactly(length)
        if kind == wire.DATA:
            await line.type(guest, payload)
        elif kind == wire.TAKE:
            line.take(guest)
        elif kind == wire.GIVE:
            line.give(guest)
        else:
            raise ValueError("an unknown frame")
