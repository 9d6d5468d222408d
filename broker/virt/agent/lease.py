"""A host's lease: one block of its own on shared storage, which it alone writes and all others read.

The block says who holds it, in which generation (one for each start of the agent) and how often it was renewed. It is
written past all caches, and renewed only when it is on the storage. Nobody's clock is in it: a reader sees whether it
moves. Where it lies on a storage of LUNs says lun_lease.py.
"""

import json
import mmap
import os
import re
import secrets
import zlib
from abc import ABC, abstractmethod
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

    def packed(self, size: int = BLOCK) -> bytes:
        body = json.dumps(self.__dict__, sort_keys=True).encode()
        head = _MAGIC + len(body).to_bytes(4, "big") + zlib.crc32(body).to_bytes(4, "big")
        return (head + body).ljust(size, b"\0")

    @classmethod
    def unpacked(cls, block: bytes) -> "Record | None":
        """The record, or None for a block that is none: new, torn or damaged."""
        length, check = int.from_bytes(block[8:12], "big"), int.from_bytes(block[12:16], "big")
        body = block[16 : 16 + length]
        if block[:8] != _MAGIC or length > len(block) - 16 or zlib.crc32(body) != check:
            return None
        try:
            return cls(**json.loads(body))
        except (ValueError, TypeError):
            return None


class Lease(ABC):
    """The lease of one host on one storage. `renew` is one read and one write."""

    def __init__(self, host: str):
        self.host, self.instance = host, secrets.token_hex(8)
        self._last: Record | None = None

    def renew(self, stop_after: float) -> None:
        """Raises OSError when the storage does not take it, Taken when the lease moved by another's hand."""
        found = self._read()
        if self._last is not None and found is not None and found.instance != self.instance:
            raise Taken(f"the lease of {self.host} was renewed by {found.instance}, not by {self.instance}")
        if self._last is None:
            new = Record(self.host, (found.generation if found else 0) + 1, 0, self.instance, stop_after)
        else:
            # what is there may be newer than what we know of: a write that failed half-way may have arrived
            renewals = max(self._last.renewals, found.renewals if found else 0)
            new = Record(self.host, self._last.generation, renewals + 1, self.instance, stop_after)
        self._write(new)
        self._last = new

    def forget(self) -> None:
        """Begin a new generation: what was held before ran out."""
        self._last, self.instance = None, secrets.token_hex(8)

    @abstractmethod
    def others(self) -> dict[str, Record]:
        """The leases of the other hosts there, by host. Raises OSError."""

    @abstractmethod
    def give_back(self) -> None:
        """Have no lease there any more."""

    @abstractmethod
    def _read(self) -> Record | None: ...

    @abstractmethod
    def _write(self, new: Record) -> None: ...


class FileLease(Lease):
    """In a file of the host's own in a directory, which must be `mounted` if that is said."""

    def __init__(self, directory: str, host: str, *, mounted: bool = False):
        super().__init__(host)
        self.path, self._mounted = Path(directory, FOLDER, host), mounted

    def others(self) -> dict[str, Record]:
        found = {}
        for path in self.path.parent.iterdir():
            if path.name != self.host and (record := read(path)) is not None and record.host == path.name:
                found[path.name] = record
        return found

    def give_back(self) -> None:
        self.path.unlink(missing_ok=True)

    def _read(self) -> Record | None:
        if self._mounted and not mounted(str(self.path.parent.parent)):
            raise OSError("it is not mounted")
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        return read(self.path)

    def _write(self, new: Record) -> None:
        with _opened(self.path, os.O_RDWR | os.O_CREAT | os.O_DSYNC) as file:
            with mmap.mmap(-1, BLOCK) as buffer:  # aligned, as direct I/O wants it
                buffer.write(new.packed())
                if os.pwrite(file, buffer, 0) != BLOCK:
                    raise OSError("the lease was written in part")
            os.fsync(file)


def read(path: Path) -> Record | None:
    """What the storage has; None when there is no such lease. Raises OSError."""
    try:
        with _opened(path, os.O_RDONLY) as file, mmap.mmap(-1, BLOCK) as buffer:
            if os.preadv(file, [buffer], 0) < BLOCK:
                return None
            return Record.unpacked(buffer[:])
    except FileNotFoundError:
        return None


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
