"""Bytes that are on their way in: one file an upload in a directory of ours, written piece by piece.

What lies here was not looked at yet. It is opened without following links, never by QEMU, and goes when its
upload ends, whatever way that is.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from uuid import UUID

from django.conf import settings

from broker.core.errors import Busy, NoCapacity
from broker.core.text import gettext_noop as N_

PIECE = 1 << 20
LARGEST_CHUNK = 64 << 20
SPARE = 1 << 30
"""What uploads leave free on the disk they arrive on: it is the database's, too."""


def folder() -> Path:
    path = Path(settings.DATA_DIR) / "uploads"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def path_of(pk: UUID) -> Path:
    """Where the bytes of the image `pk` arrive."""
    return folder() / str(pk)


def converted_path(pk: UUID) -> Path:
    """Where the disk is put together that goes to the storage, when it is no qcow2 yet."""
    return folder() / f"{pk}.qcow2"


def inner_path(pk: UUID) -> Path:
    """Where the disk of an appliance lies, once it was taken out."""
    return folder() / f"{pk}.inner"


@contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    file = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield file
    finally:
        os.close(file)


@contextmanager
def arriving(pk: UUID, *, offset: int) -> Iterator[int]:
    """The open file that the bytes of `pk` arrive in, for one writer at a time. Raises Busy."""
    with opened(path_of(pk), os.O_WRONLY | (0 if offset else os.O_CREAT)) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(
                N_("Another piece of this image is just arriving."), fix=N_("Send one piece after the other.")
            ) from None
        yield file


def write(file: int, stream: IO[bytes], *, offset: int, length: int, told: "hashlib._Hash | None" = None) -> int:
    """Write `length` bytes of `stream` at `offset`; returns how many came. Raises NoCapacity.

    `told` hears them, too: in a thread beside, for neither writing nor hashing needs the interpreter.
    """
    done, hashed = 0, None
    with ThreadPoolExecutor(1) as beside:
        try:
            while done < length and (piece := stream.read(min(PIECE, length - done))):
                if told is not None:
                    if hashed is not None:
                        hashed.result()  # one behind at most
                    hashed = beside.submit(told.update, piece)
                begins = done
                while done - begins < len(piece):
                    done += os.pwrite(file, memoryview(piece)[done - begins :], offset + done)
        except OSError as error:
            raise NoCapacity(
                N_("There is no room for this image on the server (%(reason)s)."), rule="upload.space",
                fix=N_("Free space in Berth's data directory, and go on with the upload."),
                reason=error.strerror or "?",
            ) from error  # fmt: skip
    return done


def require_room(more_bytes: int) -> None:
    """Raise NoCapacity unless `more_bytes` fit on the disk that uploads arrive on."""
    free = shutil.disk_usage(folder()).free
    if more_bytes > free - SPARE:
        raise NoCapacity(
            N_("There is no room for this image on the server."), rule="upload.space",
            fix=N_("Free space in Berth's data directory, or finish or cancel other uploads."),
        )  # fmt: skip


def digest(path: Path, tick: Callable[[float], None]) -> str:
    """The SHA-256 of the file; `tick` hears how far it is."""
    told = hashlib.sha256()
    with opened(path, os.O_RDONLY) as file:
        size, done = max(os.fstat(file).st_size, 1), 0
        while piece := os.read(file, PIECE):
            told.update(piece)
            done += len(piece)
            tick(done / size)
    return told.hexdigest()


def remove(pk: UUID) -> None:
    for path in (path_of(pk), converted_path(pk), inner_path(pk)):
        path.unlink(missing_ok=True)
