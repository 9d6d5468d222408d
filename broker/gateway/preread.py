"""A connection of which another process read the beginning already, as a file."""

import io
import socket
from typing import Any


class Preread(io.RawIOBase):
    """What another process read from the connection, then the connection itself."""

    def __init__(self, first: bytes, connection: socket.socket):
        self._first, self._connection = first, connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._first:
            return self._connection.recv_into(buffer)
        taken = min(len(buffer), len(self._first))
        buffer[:taken] = self._first[:taken]
        self._first = self._first[taken:]
        return taken
