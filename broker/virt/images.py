"""Look at an image somebody supplied before QEMU may open it.

An image can name other files: a backing file, an external data file, a VMDK descriptor's extents. QEMU would
open them with the rights of the host. So only plain qcow2 is taken, judged by its own header read here, from a
file opened without following links, and `qemu-img` is shown that very open file.

Header layout: QEMU's docs/interop/qcow2.txt. All numbers are big-endian.
"""

import json
import os
import stat
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from broker.core.errors import Invalid, Unavailable
from broker.core.text import gettext_noop as N_

from . import names

QCOW2 = b"QFI\xfb"
LARGEST = 64 * 1024**4
QEMU_IMG_SECONDS = 60

_EXTERNAL_DATA, _CORRUPT = 1 << 2, 1 << 1  # bits of incompatible_features
_KNOWN_FEATURES = 0b11111  # dirty, corrupt, external data file, compression type, extended L2 entries
_BACKING_FORMAT, _DATA_FILE = 0xE2792ACA, 0x44415441  # header extensions
_FIRST_CLUSTER = 65536
_OTHERS = (
    (b"KDMV", "VMDK"), (b"COWD", "VMDK"), (b"# Disk DescriptorFile", "VMDK"), (b"conectix", "VHD"),
    (b"vhdxfile", "VHDX"), (b"QED\0", "QED"), (b"LUKS\xba\xbe", "LUKS"), (b"<<< ", "VDI"),
    (b"WithoutFreeSpace", "Parallels"), (b"WithouFreSpacExt", "Parallels"),
)  # fmt: skip


@dataclass(frozen=True)
class ImageFacts:
    """A plain qcow2 image. `capacity`: the size a guest sees; `size`: of the file; both in bytes."""

    path: Path
    capacity: int
    size: int


def import_directory() -> Path:
    """Where images to import must lie; whoever can write there can offer them to administrators."""
    return Path(settings.DATA_DIR) / "import"


def inspect(source: str, *, thoroughly: bool = True) -> ImageFacts:
    """Look at the file called `source` in the import directory.

    Without `thoroughly` only its header is read (quick, starts no program). Raises Invalid naming the field
    "source" for anything but a plain, whole qcow2 image without references to other files.
    """
    path = _path(source)
    with _opened(path) as file:
        size = os.fstat(file).st_size
        capacity = check_header(os.pread(file, _FIRST_CLUSTER, 0))
        if thoroughly:
            ask_qemu(file)
    return ImageFacts(path=path, capacity=capacity, size=size)


def _path(source: str) -> Path:
    """`source` is a file name, or the absolute path of a file right in the import directory."""
    folder = import_directory()
    name = source[len(str(folder)) + 1 :] if source.startswith(f"{folder}/") else source
    return folder / names.name(name, field="source")


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _bad(
            N_("%(name)s cannot be read (%(reason)s)."), N_("Put the image itself, no link, into %(folder)s."),
            name=path.name, reason=error.strerror or "?", folder=path.parent,
        ) from error  # fmt: skip
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise _bad(
                N_("%(name)s is not a file."),
                N_("Put an image file into %(folder)s."),
                name=path.name,
                folder=path.parent,
            )
        yield file
    finally:
        os.close(file)


def check_header(head: bytes) -> int:
    """The capacity in bytes of the qcow2 image that begins with `head`; raises Invalid when it may not be used."""
    if not head.startswith(QCOW2):
        kind = next((name for magic, name in _OTHERS if head.startswith(magic)), "raw")
        raise _bad(
            N_("This is no qcow2 image (it looks like %(kind)s)."),
            N_("Convert it first: qemu-img convert -f FORMAT -O qcow2 OLD NEW."),
            kind=kind,
        )
    if len(head) < 104:
        raise _bad(N_("This image is cut off."), N_("Copy it again."))
    version, backing, backing_size, _cluster_bits, capacity, encryption = struct.unpack_from(">IQIIQI", head, 4)
    if version not in (2, 3):
        raise _bad(
            N_("This qcow2 image is of an unknown version."), N_("Convert it with qemu-img convert -f qcow2 -O qcow2.")
        )
    features, header_length = 0, 72
    if version == 3:
        features = struct.unpack_from(">Q", head, 72)[0]
        header_length = struct.unpack_from(">I", head, 100)[0]
    extensions = _extensions(head, header_length)
    if backing or backing_size or _BACKING_FORMAT in extensions:
        raise _bad(
            N_("This image needs another one (a backing file)."),
            N_("Make it independent: qemu-img convert -f qcow2 -O qcow2 OLD NEW."),
        )
    if features & _EXTERNAL_DATA or _DATA_FILE in extensions:
        raise _bad(
            N_("This image keeps its data in another file."),
            N_("Make it independent: qemu-img convert -f qcow2 -O qcow2 OLD NEW."),
        )
    if encryption:
        raise _bad(N_("This image is encrypted."), N_("Convert it to an image without encryption."))
    if features & _CORRUPT or features & ~_KNOWN_FEATURES:
        raise _bad(
            N_("This image is marked as damaged or uses unknown features."), N_("Repair it: qemu-img check -r all.")
        )
    if not 512 <= capacity <= LARGEST:
        raise _bad(
            N_("The size of this image makes no sense (%(size)s bytes)."), N_("Make the image anew."), size=capacity
        )
    return int(capacity)


def _extensions(head: bytes, start: int) -> set[int]:
    """The kinds of header extensions, from `start` to the end marker."""
    found: set[int] = set()
    while start + 8 <= len(head):
        kind, length = struct.unpack_from(">II", head, start)
        if kind == 0:
            return found
        found.add(kind)
        start += 8 + (length + 7) // 8 * 8
    raise _bad(N_("The header of this image is damaged."), N_("Make the image anew."))


def ask_qemu(file: int) -> None:
    """Have qemu-img agree, on the file that is open: another one under its name changes nothing."""
    asked = ["qemu-img", "info", "-f", "qcow2", "--output=json", f"/proc/self/fd/{file}"]
    try:
        done = subprocess.run(asked, pass_fds=(file,), capture_output=True, timeout=QEMU_IMG_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(
            N_("qemu-img could not be asked about the image (%(reason)s)."),
            rule="image.readable",
            fix=N_("Install qemu-utils."),
            reason=error,
        ) from error
    try:
        told = json.loads(done.stdout) if done.returncode == 0 else {}
    except ValueError:
        told = {}
    names_others = "backing-filename" in told or "data-file" in told.get("format-specific", {}).get("data", {})
    if told.get("format") != "qcow2" or names_others:
        raise _bad(N_("qemu-img does not accept this image."), N_("Check it: qemu-img check -f qcow2 IMAGE."))


def _bad(message: str, fix: str, **params: Any) -> Invalid:
    return Invalid(message, field="source", fix=fix, **params)
