"""The open serial lines: each is read once and shown to all its readers; one of them types.

Lives on an event loop. The host's own line blocks, so a thread reads it and another one types.
"""

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol
from uuid import UUID

from django.db import close_old_connections

from broker.core.errors import BerthError
from broker.core.text import gettext_noop as N_
from broker.virt import hosts
from broker.virt.driver import Locked, Refused, SerialStream
from broker.virt.models import VirtualMachine

from . import wire

log = logging.getLogger(__name__)
SCROLL_BACK = 128 * 1024
LINGER = 60.0
"""Seconds a line stays open after its last reader left, for what was written meanwhile."""
MOST_UNREAD = 1024 * 1024
MOST_LINES = 200


class Reader(Protocol):
    """Somebody at a line. `send` takes a frame; returns whether the reader still keeps up."""

    user: str
    may_write: bool

    def send(self, frame: bytes) -> bool: ...
    def close(self) -> None: ...


class Line:
    """One machine's line. Everything but `_pump` happens on the loop."""

    def __init__(self, hub: "Hub", vm: str) -> None:
        self._hub, self._vm = hub, vm
        self._loop = asyncio.get_running_loop()
        self._scroll = bytearray()
        self._readers: list[Reader] = []
        self._writer: Reader | None = None
        self._stream: SerialStream | None = None
        self._stop = threading.Event()
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="serial")
        self._idle: asyncio.TimerHandle | None = None
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self._threads.submit(self._pump)

    def _pump(self) -> None:
        try:
            close_old_connections()
            machine = VirtualMachine.objects.select_related("host").get(pk=UUID(self._vm))
            if machine.host is None:
                raise VirtualMachine.DoesNotExist
            with hosts.connection(machine.host).serial(self._vm) as stream:
                self._loop.call_soon_threadsafe(self._begun, stream)
                while not self._stop.is_set():
                    if data := stream.read(0.25):
                        self._loop.call_soon_threadsafe(self._arrived, data)
        except (BerthError, VirtualMachine.DoesNotExist, ValueError) as error:
            self._loop.call_soon_threadsafe(self._ended, error)
        except Exception as error:
            log.exception("a serial line broke")
            self._loop.call_soon_threadsafe(self._ended, error)
        finally:
            close_old_connections()

    def _begun(self, stream: SerialStream) -> None:
        self._stream = stream
        if not self.opened.done():
            self.opened.set_result(None)
        if not self._readers:
            # Whoever asked may be gone by now.
            self._idle = self._loop.call_later(self._hub.linger, self.close)

    def _ended(self, error: Exception) -> None:
        if not self.opened.done():
            self.opened.set_exception(error)
        self.close()

    def close(self) -> None:
        self._stop.set()
        self._stream = None
        self._hub.forget(self._vm, self)
        for reader in self._readers:
            reader.close()
        self._readers.clear()
        self._threads.shutdown(wait=False)

    def _arrived(self, data: bytes) -> None:
        self._scroll += data
        del self._scroll[:-SCROLL_BACK]
        self._tell(wire.frame(wire.DATA, data))

    def _tell(self, frame: bytes) -> None:
        for reader in list(self._readers):
            if not reader.send(frame):
                # It comes back and gets the scroll-back; the others need not wait for it.
                reader.close()

    def join(self, reader: Reader) -> None:
        if self._idle:
            self._idle.cancel()
            self._idle = None
        for start in range(0, len(self._scroll), 65536):
            reader.send(wire.frame(wire.DATA, bytes(self._scroll[start : start + 65536])))
        self._readers.append(reader)
        if self._writer is None and reader.may_write:
            self._writer = reader
        self._tell_who()

    def leave(self, reader: Reader) -> None:
        if reader not in self._readers:
            return
        self._readers.remove(reader)
        if self._writer is reader:
            self._writer = None
        self._tell_who()
        if not self._readers:
            self._idle = self._loop.call_later(self._hub.linger, self.close)

    def take(self, reader: Reader) -> None:
        """The reader types from now on, if they may; who typed before reads on."""
        if reader.may_write and reader in self._readers:
            self._writer = reader
            self._tell_who()

    def give(self, reader: Reader) -> None:
        if self._writer is reader:
            self._writer = None
            self._tell_who()

    async def type(self, reader: Reader, data: bytes) -> None:
        """Send to the guest; what somebody types who has not the line is dropped."""
        if self._writer is reader and self._stream is not None:
            await self._loop.run_in_executor(self._threads, self._stream.write, data)

    def _tell_who(self) -> None:
        writer = self._writer
        for reader in list(self._readers):
            told = {
                "writer": writer.user if writer else "",
                "mine": writer is reader,
                "may": reader.may_write,
                "readers": len(self._readers),
            }
            reader.send(wire.status(**told))


class Hub:
    """Lines by machine."""

    def __init__(self, *, linger: float = LINGER) -> None:
        self.linger = linger
        self._lines: dict[str, Line] = {}

    async def line(self, vm: str) -> Line:
        """The machine's line, opened if it is not yet.

        Raises what the host says: Locked, Refused, HostUnreachable; VirtualMachine.DoesNotExist.
        """
        if vm not in self._lines:
            if len(self._lines) >= MOST_LINES:
                raise Locked(
                    N_("There are %(most)s serial lines open; more are not allowed."),
                    fix=N_("Close one of them."),
                    most=MOST_LINES,
                )
            self._lines[vm] = Line(self, vm)
        line = self._lines[vm]
        await asyncio.shield(line.opened)
        return line

    def forget(self, vm: str, line: Line) -> None:
        if self._lines.get(vm) is line:
            del self._lines[vm]

    def close(self) -> None:
        for line in list(self._lines.values()):
            line.close()


def refusal(error: Exception) -> str:
    """The word the page has a sentence for: busy, none (no such line, or not running) or away."""
    if isinstance(error, Locked) or "session exists" in str(getattr(error, "params", "")):
        return "busy"
    return "none" if isinstance(error, Refused | VirtualMachine.DoesNotExist | ValueError) else "away"
