"""Connections passed from the process that owns the public port to the gateway, one descriptor a message.

The socket is AF_UNIX SOCK_SEQPACKET: a message is the request that was already read, its ancillary data the
descriptor (SCM_RIGHTS, unix(7)). Only the same user may connect: the socket is made with mode 0600.
"""

import asyncio
import errno
import logging
import os
import socket
import time
from pathlib import Path

from .engines import Engine
from .native.viewer import Viewers

log = logging.getLogger(__name__)
MAX_REQUEST = 16 * 1024
_RETRY = 0.05


def somebody_takes(path: str) -> bool:
    """Whether a gateway listens at `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
        return True


class Giver:
    """The web process's end. `give` never blocks; a gateway that is not there costs one failed connect."""

    def __init__(self, path: str):
        self._path = path
        self._socket: socket.socket | None = None
        self._not_before = 0.0

    def give(self, connection: socket.socket, request: bytes) -> bool:
        """Pass a connection on; the caller closes its own copy. False when nobody takes it."""
        if len(request) > MAX_REQUEST:
            return False
        for _ in range(2):
            if (gateway := self._connected()) is None:
                return False
            try:
                socket.send_fds(gateway, [request], [connection.fileno()])
                return True
            except BlockingIOError:
                return False
            except OSError:
                # The gateway was restarted: its old socket is dead, the new one may be there already.
                self.close()
        return False

    def _connected(self) -> socket.socket | None:
        if self._socket is None and time.monotonic() >= self._not_before:
            candidate = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            candidate.setblocking(False)
            try:
                candidate.connect(self._path)
            except OSError:
                candidate.close()
                self._not_before = time.monotonic() + _RETRY
            else:
                self._socket = candidate
        return self._socket

    def close(self) -> None:
        if self._socket:
            self._socket.close()
            self._socket = None


class Taker:
    """The gateway's end: listens at a path and lets the engine adopt what comes, or `viewers` a native client's."""

    def __init__(self, path: str, engine: Engine, viewers: Viewers):
        self._path, self._engine, self._viewers = path, engine, viewers
        self._listener: socket.socket | None = None
        self._givers: set[socket.socket] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Listen. Replaces a socket file that nobody listens on; raises OSError when somebody does.

        At no time is the file away: who watches it takes that for a gateway that gives way.
        """
        if somebody_takes(self._path):
            raise OSError(errno.EADDRINUSE, "another gateway listens here", self._path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        made = Path(f"{self._path}.{os.getpid()}")
        made.unlink(missing_ok=True)
        previous = os.umask(0o177)
        try:
            listener.bind(str(made))
        finally:
            os.umask(previous)
        listener.listen(16)
        made.rename(self._path)
        listener.setblocking(False)
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener, self._accept)

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            giver, _ = self._listener.accept()
        except BlockingIOError:
            return
        giver.setblocking(False)
        self._givers.add(giver)
        asyncio.get_running_loop().add_reader(giver, self._take, giver)

    def _take(self, giver: socket.socket) -> None:
        # Sixteen at a time: a burst of new consoles must not stop those that run.
        for _ in range(16):
            try:
                request, descriptors, _, _ = socket.recv_fds(giver, MAX_REQUEST, 1)
            except BlockingIOError:
                return None
            except OSError as error:
                log.warning("handover broke: %s", error)
                return self._forget(giver)
            if not descriptors:
                return self._forget(giver)
            connection = socket.socket(fileno=descriptors[0])
            connection.setblocking(False)
            task = asyncio.get_running_loop().create_task(self._adopt(connection, request))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return None

    async def _adopt(self, connection: socket.socket, request: bytes) -> None:
        try:
            await (self._viewers if self._viewers.wants(request) else self._engine).adopt(connection, request)
        except OSError as error:
            log.info("a handed-over connection was gone already: %s", error)
            connection.close()

    def _forget(self, giver: socket.socket) -> None:
        asyncio.get_running_loop().remove_reader(giver)
        self._givers.discard(giver)
        giver.close()

    def stop(self) -> None:
        """Take nothing more; the web process answers 503 from now on."""
        if self._listener:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
            Path(self._path).unlink()
        for giver in list(self._givers):
            self._forget(giver)
