"""A file becomes a volume of a storage on this very machine: by a second name, or copied by the kernel.

That the storage is here is told by the mark that libvirt has just made on it and that lies before our eyes, and by the
host's address. A second name takes no time and no room; it needs the file on the storage's file system. Owner and mode
are those libvirt gave the mark. Where any of this is not so, libvirt's stream is the way.
"""

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from broker.core.text import gettext_noop
from broker.virt.driver import NoSpace
from broker.virt.drivers.libvirt.disks import PART

_PIECE = 16 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)


def is_local(uri: str) -> bool:
    """Whether libvirtd is asked over a socket of this machine."""
    return not urlsplit(uri).netloc


def put(source: Path, mark: Path, progress: Callable[[float], None]) -> bool:
    """Give the file `source` its place beside `mark`; False where that cannot be done. Raises NoSpace."""
    target = mark.with_name(mark.name.removesuffix(PART))
    try:
        owner = mark.lstat()
        file = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return _link(file, source, target, owner) or _copy(file, target, owner, progress)
    finally:
        os.close(file)


def _link(file: int, source: Path, target: Path, owner: os.stat_result) -> bool:
    try:
        if os.fstat(file).st_dev != owner.st_dev:
            return False
        os.fchown(file, owner.st_uid, owner.st_gid)
        os.fchmod(file, owner.st_mode & 0o777)
        os.link(source, target, follow_symlinks=False)
    except OSError:
        return False
    _flush(file)
    return True


def _flush(file: int) -> None:
    """Send it to the disk now, not when the kernel would; nobody waits, as nobody does with libvirt's stream."""
    kept = os.dup(file)

    def flush() -> None:
        try:
            os.fdatasync(kept)
        except OSError:
            pass  # whoever reads it will be told
        finally:
            os.close(kept)

    threading.Thread(target=flush, name="image-flush", daemon=True).start()


def _copy(file: int, target: Path, owner: os.stat_result, progress: Callable[[float], None]) -> bool:
    size, done = os.fstat(file).st_size, 0
    try:
        made = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    try:
        os.fchown(made, owner.st_uid, owner.st_gid)
        while done < size:
            sent = os.copy_file_range(file, made, min(_PIECE, size - done), done, done)
            if not sent:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            done += sent
            progress(min(done / size, 0.99))
    except BaseException as error:
        target.unlink()
        if not isinstance(error, OSError):
            raise
        if error.errno in _FULL:
            raise NoSpace(
                gettext_noop("The host has no space left: %(reason)s."),
                fix=gettext_noop("Free space on the storage or add more."),
                reason=error.strerror,
            ) from error
        return False
    else:
        _flush(made)
    finally:
        os.close(made)
    return True
