"""An appliance on its way out: disks as stream-optimized VMDK, and the tar of description, manifest and disks.

A VMDK is written by qemu-img without rights, over open files. A tar's header has room for sizes below 8 GiB in octal
digits; what is larger is written as GNU does, which readers of appliances know.

Layouts: POSIX.1-1988 for ustar, DMTF DSP0243 for the order of members and the manifest.
"""

import hashlib
import os
import re
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

from broker.core.errors import Unavailable
from broker.core.text import gettext_noop as N_

from . import images, uploads
from .image_formats import CONVERT_SECONDS
from .ova import BLOCK
from .sealing import confined

OCTAL_MOST = 8 << 30
_HEAD = 65536
_DESCRIPTION_AT, _DESCRIPTION_SECTORS = 28, 36  # in a VMDK's header: where its description lies, in sectors
_SECTOR = 512


def to_vmdk(source: Path, target: Path, name: str, tick: Callable[[float], None]) -> int:
    """Write the qcow2 file `source` to `target` as a VMDK that is called `name`; returns the bytes a guest sees.

    `tick` hears how far it is and may raise to end it. Raises Invalid for what needs other files, Unavailable when
    qemu-img fails, NoCapacity without room.
    """
    target.unlink(missing_ok=True)
    with (
        uploads.opened(source, os.O_RDONLY) as file,
        uploads.opened(target, os.O_RDWR | os.O_CREAT | os.O_EXCL) as made,
    ):
        capacity = images.check_header(os.pread(file, _HEAD, 0))
        confined.give(file)
        confined.give(made)
        whole = max(os.fstat(file).st_blocks * 512, 1)

        def heard() -> None:
            uploads.require_room(0)
            tick(min(os.fstat(made).st_blocks * 512 / whole, 0.99))

        ended = confined.run(
            [
                "qemu-img", "convert", "-f", "qcow2", "-O", "vmdk", "-o", "subformat=streamOptimized",
                confined.name_of(file), confined.name_of(made),
            ],
            file=file, also=(made,), seconds=CONVERT_SECONDS, tick=heard,
        )  # fmt: skip
        if ended.code != 0:
            raise Unavailable(
                N_("qemu-img could not convert the image (%(reason)s)."), rule="image.readable",
                fix=N_("Look at the space in the data directory."), reason=ended.output.strip()[-300:],
            )  # fmt: skip
        _call(made, name)
    return capacity


def _call(file: int, name: str) -> None:
    """QEMU writes into the description by what name it opened the file; put `name` there instead."""
    head = os.pread(file, _SECTOR, 0)
    at, length = (
        int.from_bytes(head[place : place + 8], "little") * _SECTOR for place in (_DESCRIPTION_AT, _DESCRIPTION_SECTORS)
    )
    told = os.pread(file, length, at).rstrip(b"\0")
    told = re.sub(rb'^(RW \d+ SPARSE) "[^"\n]*"', rb'\1 "' + name.encode() + b'"', told, count=1, flags=re.MULTILINE)
    if len(told) < length:
        os.pwrite(file, told.ljust(length, b"\0"), at)


def pack(
    target: Path, name: str, description: bytes, disks: Sequence[tuple[str, Path]], tick: Callable[[float], None]
) -> str:
    """Write the appliance `name` of `disks` (member, file) to `target`, which is new; returns its SHA-256.

    `name` and the members' are at most 96 letters, digits, dots, hyphens. `tick` hears how far it is and may raise.
    """
    sizes = [path.stat().st_size for _, path in disks]
    whole, done = max(sum(sizes) * 2, 1), 0

    def moved(share: float, size: int) -> None:
        tick((done + share * size) / whole)

    sums = {f"{name}.ovf": hashlib.sha256(description).hexdigest()}
    for (member, path), size in zip(disks, sizes, strict=True):
        sums[member] = uploads.digest(path, lambda share, size=size: moved(share, size))  # type: ignore[misc]
        done += size
    manifest = "".join(f"SHA256({member})= {told}\n" for member, told in sums.items()).encode()
    target.unlink(missing_ok=True)
    with uploads.opened(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as file, os.fdopen(os.dup(file), "wb") as out:
        tar = _Tar(out.write)
        for member, content in ((f"{name}.ovf", description), (f"{name}.mf", manifest)):
            tar.begin(member, len(content))
            tar.write(content)
            tar.fill(len(content))
        for (member, path), size in zip(disks, sizes, strict=True):
            tar.begin(member, size)
            with uploads.opened(path, os.O_RDONLY) as source:
                sent = 0
                while piece := os.read(source, min(uploads.PIECE, size - sent)):
                    tar.write(piece)
                    sent += len(piece)
                    moved(sent / size, size)
            tar.fill(size)
            done += size
        tar.write(bytes(2 * BLOCK))
        out.flush()
        os.fsync(file)
    return tar.told.hexdigest()


class _Tar:
    """What is written, and told as a checksum on the way."""

    def __init__(self, write: Callable[[bytes], object]):
        self._write, self.told = write, hashlib.sha256()

    def write(self, piece: bytes) -> None:
        self._write(piece)
        self.told.update(piece)

    def begin(self, name: str, size: int) -> None:
        self.write(header(name, size))

    def fill(self, size: int) -> None:
        self.write(bytes(-size % BLOCK))


def header(name: str, size: int) -> bytes:
    """A member's header."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member.tobuf(tarfile.USTAR_FORMAT if size < OCTAL_MOST else tarfile.GNU_FORMAT)
