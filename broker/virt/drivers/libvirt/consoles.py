"""Pictures of the screen, the serial line, and keys pressed from outside."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import libvirt

from broker.core.text import gettext_noop
from broker.virt.driver import HostUnreachable, Refused
from broker.virt.drivers.libvirt.connection import Link
from broker.virt.drivers.libvirt.errors import translating

_CHUNK = 64 * 1024
_MOST_KEYS = 16  # libvirt's limit for one call
_WOULD_BLOCK = -2


class Showing(Link):
    """The consoles of a host's machines."""

    def screenshot(self, uuid: str) -> tuple[bytes, str]:
        with self.calling():
            stream = self.connection.newStream(0)
            try:
                media_type = self.domain(uuid).screenshot(stream, 0, 0)
                picture = bytearray()
                while chunk := stream.recv(_CHUNK):
                    picture += chunk
                stream.finish()
            except libvirt.libvirtError:
                _abort(stream)
                raise
        return bytes(picture), media_type

    @contextmanager
    def serial(self, uuid: str, *, force: bool = False) -> Iterator["Serial"]:
        flags = libvirt.VIR_DOMAIN_CONSOLE_FORCE if force else libvirt.VIR_DOMAIN_CONSOLE_SAFE
        with self.lines.reserved() as connection:
            with translating(connection):
                stream = connection.newStream(libvirt.VIR_STREAM_NONBLOCK)
                connection.lookupByUUIDString(uuid).openConsole(None, stream, flags)
                line = Serial(stream)
            try:
                yield line
            finally:
                line.close()

    def send_keys(self, uuid: str, keycodes: Iterable[int], *, hold_ms: int = 50) -> None:
        codes = list(keycodes)
        if not 0 < len(codes) <= _MOST_KEYS:
            raise Refused(gettext_noop("Between 1 and %(most)s keys can be pressed together."), most=_MOST_KEYS)
        with self.calling():
            self.domain(uuid).sendKey(libvirt.VIR_KEYCODE_SET_LINUX, hold_ms, codes, len(codes), 0)


class Serial:
    """An open serial line. Bytes that come in are kept until they are read."""

    def __init__(self, stream: libvirt.virStream) -> None:
        self._stream, self._arrived, self._news, self._ended = stream, bytearray(), threading.Condition(), False
        stream.eventAddCallback(
            libvirt.VIR_STREAM_EVENT_READABLE | libvirt.VIR_STREAM_EVENT_ERROR | libvirt.VIR_STREAM_EVENT_HANGUP,
            self._on_event,
            None,
        )

    def read(self, timeout: float) -> bytes:
        """What came since the last read; b"" when nothing came. HostUnreachable when the line is gone."""
        with self._news:
            self._news.wait_for(lambda: self._arrived or self._ended, timeout)
            data = bytes(self._arrived)
            self._arrived.clear()
            if self._ended and not data:
                raise HostUnreachable(gettext_noop("The serial line was closed by the host."))
            return data

    def write(self, data: bytes) -> None:
        """Send `data`; waits while the line is full."""
        rest = memoryview(data)
        while rest:
            try:
                sent = self._stream.send(bytes(rest))
            except libvirt.libvirtError as error:
                raise HostUnreachable(gettext_noop("The serial line was closed by the host.")) from error
            if sent == _WOULD_BLOCK:
                with self._news:
                    self._news.wait(0.02)
            else:
                rest = rest[sent:]

    def close(self) -> None:
        """Hang up."""
        try:
            self._stream.eventRemoveCallback()
        except libvirt.libvirtError:
            pass  # the stream ended by itself
        _abort(self._stream)

    def _on_event(self, stream: Any, events: int, opaque: Any) -> None:
        ended = bool(events & (libvirt.VIR_STREAM_EVENT_ERROR | libvirt.VIR_STREAM_EVENT_HANGUP))
        data = b""
        try:
            chunk = stream.recv(_CHUNK)
            data = chunk if isinstance(chunk, bytes) else b""
            ended = ended or data == b"" == chunk
        except libvirt.libvirtError:
            ended = True
        with self._news:
            self._arrived += data
            self._ended = self._ended or ended
            self._news.notify_all()
        if ended:
            stream.eventUpdateCallback(0)


def _abort(stream: libvirt.virStream) -> None:
    try:
        stream.abort()
    except libvirt.libvirtError:
        pass  # finished or broken already: there is nothing to give back
