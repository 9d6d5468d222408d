"""The archive: a plain tar with the manifest first. Written beside its place and renamed; read as what strangers made.

Nothing of a tar is believed but bytes: names are compared with a list, only regular files count, and every byte goes
through a checksum. No database and no Django.
"""

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_

from . import manifest
from .manifest import Manifest, Member, broken

_CHUNK = 1 << 20


def described(path: Path) -> Member:
    """Size and checksum of a file."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return Member(size=size, sha256=digest.hexdigest())


def write(target: Path, told: Manifest, files: Mapping[str, Path], scratch: Path) -> int:
    """Make the archive in the folder `scratch` and put it at `target`, which must not exist. Returns its size in bytes.

    Both are on one file system. Raises Conflict when `target` came to be meanwhile.
    """
    made = scratch / "archive"
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
            data, at = told.encoded(), int(told.made_at.timestamp())
            _add(tar, manifest.NAME, io.BytesIO(data), len(data), at)
            for name, path in files.items():
                with path.open("rb") as source:
                    _add(tar, name, source, told.members[name].size, at)
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
    _place(made, target)
    sync_folder(target.parent)
    return size


def _add(tar: tarfile.TarFile, name: str, source: IO[bytes], size: int, at: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o600, at
    tar.addfile(member, source)


def _place(made: Path, target: Path) -> None:
    """A rename that replaces nothing, where the file system can."""
    try:
        os.link(made, target)
    except FileExistsError:
        raise exists(target) from None
    except OSError:  # a file system without links
        if target.exists():
            raise exists(target) from None
        made.rename(target)


def exists(target: Path) -> Conflict:
    return Conflict(
        N_("%(path)s exists already, and an archive replaces nothing."), rule="keeping.exists",
        fix=N_("Choose another name, or remove it first."), path=target,
    )  # fmt: skip


def sync_folder(folder: Path) -> None:
    """What was renamed in it stays so after a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# -- reading -------------------------------------------------------------------------------------------------


def look(path: Path) -> Manifest:
    """The manifest of the archive at `path`; reads no further. Raises Invalid."""
    with _opened(path) as file:
        return _manifest(file)


def unpack(path: Path, folder: Path) -> Manifest:
    """Put every member into `folder` (new files, 0600) and compare it with its checksum.

    Raises Invalid for what is damaged, incomplete or holds anything else; what is in `folder` then is of no use.
    """
    with _opened(path) as file:
        told = _manifest(file)
        missing = dict(told.members)
        while (member := _next(file)) is not None:
            promised = missing.pop(member.name, None)
            if promised is None:
                raise broken(N_("“%(name)s” does not belong in it"), name=member.name[:100])
            if member.size != promised.size:
                raise broken(N_("“%(name)s” is not of the promised size"), name=member.name)
            if _copied(file, member, folder / member.name) != promised.sha256:
                raise broken(N_("“%(name)s” is not what its checksum says"), name=member.name)
        if missing:
            raise broken(N_("“%(name)s” is missing"), name=min(missing))
    return told


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        # A FIFO would hold us up.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise Invalid(
            N_("%(path)s cannot be read: %(why)s."), rule="keeping.file", path=path, why=error.strerror,
            fix=N_("Name an archive that `manage.py backup_manager` made."),
        ) from error  # fmt: skip
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise broken(N_("it is no file"))
    with os.fdopen(handle, "rb") as file:
        yield file


def _next(file: IO[bytes]) -> tarfile.TarInfo | None:
    """The header that comes now; None at the end. Only plain files are known: a long name or a link is refused."""
    block = _read(file, tarfile.BLOCKSIZE)
    if not any(block):
        return None
    try:
        member = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.TarError, UnicodeError, ValueError) as error:
        raise broken(N_("it is no tar, or damaged")) from error
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        raise broken(N_("“%(name)s” would lead out of it"), name=member.name[:100])
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.size < 0:
        raise broken(N_("“%(name)s” is no plain file"), name=member.name[:100])
    return member


def _manifest(file: IO[bytes]) -> Manifest:
    first = _next(file)
    if first is None or first.name != manifest.NAME or first.size > manifest.MOST_BYTES:
        raise broken(N_("it does not begin with a manifest"))
    data = _read(file, first.size)
    _read(file, -first.size % tarfile.BLOCKSIZE)
    return manifest.decoded(data)


def _copied(file: IO[bytes], member: tarfile.TarInfo, target: Path) -> str:
    digest, left = hashlib.sha256(), member.size
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as made:
        while left:
            chunk = _read(file, min(_CHUNK, left))
            digest.update(chunk)
            made.write(chunk)
            left -= len(chunk)
        made.flush()
        os.fsync(made.fileno())
    _read(file, -member.size % tarfile.BLOCKSIZE)
    return digest.hexdigest()


def _read(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise broken(N_("it ends too early"))
    return data
