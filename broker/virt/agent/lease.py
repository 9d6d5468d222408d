"""A host's lease: one block in a file of its own on shared storage, which it alone writes and all others read.

The block says who holds it, in which generation (one for each start of the agent) and how often it was renewed. It is
written past all caches and is on the storage when `write` returns. Nobody's clock is in it: a reader sees whether it
moves.
"""

import json
import mmap
import os
import re
import secrets
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BLOCK = 4096
FOLDER = ".berth-leases"
_MAGIC = b"BERTHLS1"


class Taken(Exception):
    """Somebody else renews this host's lease: two hosts have the same identity."""


@dataclass(frozen=True)
class Record:
    host: str
    generation: int
    renewals: int
    instance: str
    stop_after: float

    @property
    def serial(self) -> int:
        """A number that is another after each renewal."""
        return self.generation * 10**9 + self.renewals

    def packed(self) -> bytes:
        body = json.dumps(self.__dict__, sort_keys=True).encode()
        head = _MAGIC + len(body).to_bytes(4, "big") + zlib.crc32(body).to_bytes(4, "big")
        return (head + body).ljust(BLOCK, b"\0")

    @classmethod
    def unpacked(cls, block: bytes) -> "Record | None":
        """The record, or None for a block that is none: new, torn or damaged."""
        length, check = int.from_bytes(block[8:12], "big"), int.from_bytes(block[12:16], "big")
        body = block[16 : 16 + length]
        if block[:8] != _MAGIC or length > BLOCK - 16 or zlib.crc32(body) != check:
            return None
        return cls(**json.loads(body))


class Lease:
    """The lease of one host in one directory. `renew` is one read and one write."""

    def __init__(self, directory: str, host: str):
        self.path, self.host = Path(directory, FOLDER, host), host
        self.instance = secrets.token_hex(8)
        self._last: Record | None = None

    def renew(self, stop_after: float) -> Record:
        """Raises OSError when the storage does not take it, Taken when the lease moved by another's hand."""
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        found = read(self.path)
        if self._last is not None and found is not None and found.instance != self.instance:
            raise Taken(f"{self.path} was renewed by {found.instance}, not by {self.instance}")
        if self._last is None:
            new = Record(self.host, (found.generation if found else 0) + 1, 0, self.instance, stop_after)
        else:
            # what is there may be newer than what we know of: a write that failed half-way may have arrived
            renewals = max(self._last.renewals, found.renewals if found else 0)
            new = Record(self.host, self._last.generation, renewals + 1, self.instance, stop_after)
        with _opened(self.path, os.O_RDWR | os.O_CREAT | os.O_DSYNC) as file:
            with mmap.mmap(-1, BLOCK) as buffer:  # aligned, as direct I/O wants it
                buffer.write(new.packed())
                if os.pwrite(file, buffer, 0) != BLOCK:
                    raise OSError("the lease was written in part")
            os.fsync(file)
        self._last = new
        return new

    def forget(self) -> None:
        """Begin a new generation: what was held before ran out."""
        self._last, self.instance = None, secrets.token_hex(8)


def read(path: Path) -> Record | None:
    """What the storage has; None when there is no such lease. Raises OSError."""
    try:
        with _opened(path, os.O_RDONLY) as file, mmap.mmap(-1, BLOCK) as buffer:
            if os.preadv(file, [buffer], 0) < BLOCK:
                return None
            return Record.unpacked(buffer[:])
    except FileNotFoundError:
        return None


def others(directory: str, host: str) -> dict[str, Record]:
    """The leases of the other hosts in a directory, by host."""
    found = {}
    for path in Path(directory, FOLDER).iterdir():
        if path.name != host and (record := read(path)) is not None and record.host == path.name:
            found[path.name] = record
    return found


def mounted(directory: str) -> bool:
    """Whether something is mounted there, as the kernel lists it: asking the storage itself might hang."""
    place = os.path.normpath(directory)
    with Path("/proc/self/mountinfo").open(encoding="utf-8", errors="surrogateescape") as listed:
        return any(_plain(line.split(" ")[4]) == place for line in listed)


def _plain(written: str) -> str:
    """A path of the kernel's list, where blanks and the like are octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), written)


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """Open past the page cache; where a file system cannot (tmpfs), with what it has."""
    try:
        file = os.open(path, flags | os.O_DIRECT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno != 22:
            raise
        file = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        yield file
    finally:
        os.close(file)
