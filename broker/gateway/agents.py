"""The way through a host's agent (broker/virt/agent/consoles.py): TLS with our certificate, one line, one answer."""

import asyncio
import socket
import ssl
from functools import lru_cache
from pathlib import Path
from typing import cast

import aiofastnet

from .desk import Target

_ANSWER = b"ok\n"
_FILES = ("cacert.pem", "clientcert.pem", "clientkey.pem")


def context(folder: str) -> ssl.SSLContext:
    """The TLS context towards agents, anew when the certificate was renewed. Raises OSError."""
    return _context(folder, tuple(Path(folder, name).stat().st_mtime_ns for name in _FILES))


@lru_cache(maxsize=4)
def _context(folder: str, stamp: tuple[int, ...]) -> ssl.SSLContext:
    ca, certificate, key = (str(Path(folder, name)) for name in _FILES)
    made = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_cert_chain(certificate, key)
    return made


class _Asking(asyncio.Protocol):
    """Speaks to the agent; with its yes the connection becomes the machine's."""

    def __init__(self, opening: bytes, machine: asyncio.Protocol):
        self._opening, self._machine, self._heard = opening, machine, b""
        self._transport: asyncio.Transport | None = None
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._opening)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._heard += data
        if not self._heard.startswith(_ANSWER):
            if not _ANSWER.startswith(self._heard):
                self._transport.abort()
                self._fail(ConnectionError("the agent said no"))
            return
        rest = self._heard[len(_ANSWER) :]
        self._transport.set_protocol(self._machine)
        self._machine.connection_made(self._transport)
        if rest:
            self._machine.data_received(rest)
        self.answered.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or ConnectionError("closed by the agent"))

    def _fail(self, error: Exception) -> None:
        if not self.answered.done():
            self.answered.set_exception(error)


async def connect(target: Target, machine: asyncio.Protocol, *, seconds: float) -> socket.socket:
    """Have `machine` connected as if to the screen's own socket. Raises OSError."""
    assert target.agent is not None
    loop = asyncio.get_running_loop()
    asking = _Asking(target.agent.opening, machine)
    transport, _ = await aiofastnet.create_connection(
        loop, lambda: asking, target.host, target.port, ssl=context(target.agent.certificates),
        server_hostname=target.host, ssl_handshake_timeout=seconds,
    )  # fmt: skip
    try:
        await asking.answered
    except BaseException:
        transport.abort()
        raise
    sock: socket.socket = transport.get_extra_info("socket")
    return sock


def connect_blocking(target: Target, *, seconds: float) -> socket.socket:
    """The same for engines that use one thread a console."""
    assert target.agent is not None
    raw = socket.create_connection((target.host, target.port), seconds)
    try:
        sock = context(target.agent.certificates).wrap_socket(raw, server_hostname=target.host)
        sock.sendall(target.agent.opening)
        heard = b""
        while heard != _ANSWER:
            piece = sock.recv(1)
            heard += piece
            if not piece or not _ANSWER.startswith(heard):
                raise ConnectionError("the agent said no")
    except BaseException:
        raw.close()
        raise
    return sock
