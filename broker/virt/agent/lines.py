"""TCP lines of other processes, and of those that are gone: have what was not sent yet thrown away.

The kernel goes on for a process that has ended, for two minutes and more when nobody answers.
"""

import ctypes
import os
import socket
import struct
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path

_PIDFD_GETFD = 438  # on every architecture; Linux 5.6
_AT_ONCE = struct.pack("ii", 1, 0)
STOP_SECONDS = 0.2
_SOCK_DIAG, _BY_FAMILY, _DESTROY = 4, 20, 21  # linux/sock_diag.h
_ERROR, _DONE = 2, 3
_REQUEST, _ACK, _DUMP = 1, 4, 0x300
_TIME_WAIT, _LISTEN = 6, 10
_ROOM, _KERNEL_SECONDS = 1 << 16, 2.0
_call = ctypes.CDLL(None, use_errno=True).syscall


def forget_unsent(handle: int, pid: int) -> None:
    """For the process behind a pidfd, told to stop before: with the end of its last holder a line is cut, not closed.

    Where the kernel does not let us, the process ends all the same.
    """
    _stopped(pid)
    for entry in _entries(Path(f"/proc/{pid}/fd")):
        if not _is_socket(entry):
            continue
        copy = _call(_PIDFD_GETFD, handle, int(entry.name), 0)
        if copy < 0:
            print(f"a line of process {pid} cannot be cut: {os.strerror(ctypes.get_errno())}", file=sys.stderr)
            continue
        with socket.socket(fileno=copy) as line:
            if line.family in (socket.AF_INET, socket.AF_INET6) and line.type == socket.SOCK_STREAM:
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)


def end_orphans(ports: Collection[int]) -> int:
    """Cut the lines to these ports of others that no process has open any more; how many. Raises OSError."""
    ended = 0
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
        kernel.settimeout(_KERNEL_SECONDS)
        for family in (socket.AF_INET, socket.AF_INET6):
            for told in list(_lines(kernel, family)):
                port = struct.unpack_from(">H", told, 6)[0]
                owner = struct.unpack_from("=I", told, 68)[0]
                if port in ports and not owner and told[1] not in (_TIME_WAIT, _LISTEN):
                    _ask(kernel, _DESTROY, _REQUEST | _ACK, family, told[4:52])
                    ended += not any(error for _, error, _ in _parts(kernel.recv(_ROOM)))
    return ended


def _lines(kernel: socket.socket, family: int) -> Iterator[bytes]:
    """The kernel's words on each TCP line: struct inet_diag_msg."""
    _ask(kernel, _BY_FAMILY, _REQUEST | _DUMP, family, bytes(48))
    while True:
        for kind, error, body in _parts(kernel.recv(_ROOM)):
            if kind == _DONE or error:
                return
            yield body


def _ask(kernel: socket.socket, kind: int, flags: int, family: int, line: bytes) -> None:
    body = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, 0xFFFFFFFF) + line
    kernel.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body)


def _parts(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """The messages in what the kernel answered: kind, error, body."""
    at = 0
    while at + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, at)
        body = data[at + 16 : at + length]
        yield kind, struct.unpack_from("=i", body)[0] if kind == _ERROR else 0, body
        at += (length + 3) & ~3


def _stopped(pid: int) -> None:
    until = time.monotonic() + STOP_SECONDS
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "TtZX":
                return
        except OSError:
            return
        time.sleep(0.002)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []  # it has ended


def _is_socket(entry: Path) -> bool:
    try:
        return str(entry.readlink()).startswith("socket:")
    except OSError:
        return False
