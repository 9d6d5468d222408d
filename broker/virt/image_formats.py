"""What an uploaded file is, by its content and not by its name, and a qcow2 made of it where it is something else.

Only files that stand for themselves are taken: nothing that names another file, for QEMU would open that with the
rights of the host. Formats are always said to qemu-img, which runs as nobody, fenced in, over open files.

Header layouts: QEMU's docs/interop/qcow2.txt, VMware's "Virtual Disk Format 5.0", QEMU's block/vdi.c (the format's
only public description), ECMA-119 for ISO 9660.
"""

import os
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_

from . import images, uploads
from .sealing import confined

_ISO_MARK, _ISO_AT = b"CD001", 32769
_VDI_MARK, _VDI_AT = b"\x7f\x10\xda\xbe", 64
_SECTOR = 512
_DESCRIPTION = 1 << 20  # more of a VMDK's description than anybody needs
_HEAD = 65536
CONVERT_SECONDS = 4 * 3600.0
_REFUSED = {
    "vhd": (b"conectix",), "vhdx": (b"vhdxfile",), "qed": (b"QED\0",), "luks": (b"LUKS\xba\xbe",),
    "parallels": (b"WithoutFreeSpace", b"WithouFreSpacExt"), "vmdk description": (b"# Disk DescriptorFile", b"COWD"),
    "gzip": (b"\x1f\x8b",), "xz": (b"\xfd7zXZ\0",), "zip": (b"PK\x03\x04",), "zstd": (b"\x28\xb5\x2f\xfd",),
}  # fmt: skip


@dataclass(frozen=True)
class Looked:
    """`format` as in Image.Format; `capacity`: the bytes a guest sees."""

    format: str
    capacity: int


def look(path: Path, kind: str, *, said: str = "") -> Looked:
    """Look at an uploaded file that is to be of `kind` ("iso", "disk") and, if anything is `said`, of that format.

    Raises Invalid for what may not be used.
    """
    with uploads.opened(path, os.O_RDONLY) as file:
        size = os.fstat(file).st_size
        head = os.pread(file, _HEAD, 0)
        found = _format(head)
        wanted = said or ("iso" if kind == "iso" else "")
        as_it_is = "raw" if said == "raw" and found == "iso" else found  # a stick's image may be a CD's as well
        if (wanted and wanted != as_it_is) or found in _REFUSED or (kind == "disk" and as_it_is == "iso"):
            raise _bad(
                N_("This is no %(wanted)s image: it looks like %(found)s."),
                N_("Upload it as what it is."), wanted=wanted or "disk", found=found,
            )  # fmt: skip
        if found == "qcow2":
            capacity = images.check_header(head)
            images.ask_qemu(file)
        elif found == "vmdk":
            capacity = _vmdk(file, head)
        elif found == "vdi":
            capacity = _vdi(head)
        else:
            capacity = size
    if not _SECTOR <= capacity <= images.LARGEST:
        raise _bad(
            N_("The size of this image makes no sense (%(size)s bytes)."), N_("Make the image anew."), size=capacity
        )
    return Looked(as_it_is, capacity)


def convert(path: Path, target: Path, looked: Looked, tick: Callable[[float], None]) -> None:
    """Write the disk at `path` to `target` as qcow2. `tick` hears how far it is and may raise to end it."""
    target.unlink(missing_ok=True)  # not truncated: an earlier attempt's may have its second name on a storage
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
    with uploads.opened(path, os.O_RDONLY) as file, uploads.opened(target, flags) as made:
        confined.give(file)
        confined.give(made)
        whole = max(os.fstat(file).st_size, 1)

        def heard() -> None:
            uploads.require_room(0)
            tick(min(os.fstat(made).st_blocks * 512 / whole, 0.99))

        ended = confined.run(
            ["qemu-img", "convert", "-f", looked.format, "-O", "qcow2", confined.name_of(file), confined.name_of(made)],
            file=file, also=(made,), seconds=CONVERT_SECONDS, tick=heard,
        )  # fmt: skip
        if ended.code != 0:
            raise _bad(
                N_("qemu-img cannot convert this image."), N_("Check it: qemu-img check -f %(format)s IMAGE."),
                format=looked.format,
            )  # fmt: skip
        if images.check_header(os.pread(made, _HEAD, 0)) < looked.capacity:
            raise _bad(N_("This image is cut off."), N_("Copy it again."))


def _format(head: bytes) -> str:
    if head.startswith(images.QCOW2):
        return "qcow2"
    if head.startswith(b"KDMV"):
        return "vmdk"
    if head[_VDI_AT : _VDI_AT + 4] == _VDI_MARK:
        return "vdi"
    for name, marks in _REFUSED.items():
        if head.startswith(marks):
            return name
    if head[_ISO_AT : _ISO_AT + 5] == _ISO_MARK:
        return "iso"
    return "raw"


def _vmdk(file: int, head: bytes) -> int:
    """A VMDK that is one file: its own description names no other extent and no parent."""
    if len(head) < 80:
        raise _bad(N_("This image is cut off."), N_("Copy it again."))
    version, _flags, capacity, _grain, at, length = struct.unpack_from("<IIQQQQ", head, 4)
    if version not in (1, 2, 3) or capacity == 0 or not at or not 0 < length * _SECTOR <= _DESCRIPTION:
        raise _depends()
    told = os.pread(file, length * _SECTOR, at * _SECTOR).split(b"\0", 1)[0].decode(errors="replace")
    kind = re.search(r'^\s*createType\s*=\s*"?(\w+)"?', told, re.MULTILINE)
    parent = re.search(r"^\s*parentCID\s*=\s*(\w+)", told, re.MULTILINE | re.IGNORECASE)
    extents = re.findall(r"^\s*(?:RW|RDONLY|NOACCESS)\s+\d+\s+(\w+)", told, re.MULTILINE)
    if (
        kind is None or kind[1] not in ("monolithicSparse", "streamOptimized")
        or extents != ["SPARSE"]
        or (parent is not None and parent[1].lower() != "ffffffff")
        or "parentfilenamehint" in told.lower()
    ):  # fmt: skip
        raise _depends()
    return int(capacity) * _SECTOR


def _vdi(head: bytes) -> int:
    """A VDI of the kinds that stand alone: growing (1) or of fixed size (2)."""
    if len(head) < 0x1C8:
        raise _bad(N_("This image is cut off."), N_("Copy it again."))
    version, _header, kind = struct.unpack_from("<III", head, 68)
    (capacity,) = struct.unpack_from("<Q", head, 0x170)
    parents = head[0x1A8:0x1C8]  # the ids of what it links to and was made from
    if version != 0x00010001 or kind not in (1, 2) or any(parents):
        raise _depends()
    return int(capacity)


def _depends() -> Invalid:
    return _bad(
        N_("This image needs other files beside it."), N_("Convert it first: qemu-img convert -O qcow2 OLD NEW.")
    )


def _bad(message: str, fix: str, **params: Any) -> Invalid:
    return Invalid(message, field="source", fix=fix, **params)
