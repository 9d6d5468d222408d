"""Where the file systems of a raw disk image begin and what each is: read from its bytes, believing none of them.

Layouts: UEFI specification 2.10 ch. 5 (GPT; MBR in 5.2.1), the extended partitions as DOS chained them, and the
superblocks of ext4 (kernel docs, "Super Block"), XFS, Btrfs, NTFS, FAT, swap, LUKS and LVM2.
"""

import os
import struct
import uuid
from dataclasses import dataclass

SECTOR = 512
MOST = 128
_EXTENDED = (0x05, 0x0F, 0x85)
_BIOS_BOOT = uuid.UUID("21686148-6449-6e6f-744e-656564454649")
_HEAD = 0x11000  # bytes of a partition in which every signature lies


@dataclass(frozen=True, slots=True)
class Partition:
    """`number` as the guest counts, 0 for a disk without partitions; `start` and `size` in bytes.

    `kind`: ext, xfs, btrfs, ntfs, fat, swap, luks, lvm, boot (a boot loader's) or unknown.
    `uuid`, `label` and `partuuid` are how an fstab may name it, in lower case where it does not matter.
    """

    number: int
    start: int
    size: int
    kind: str
    uuid: str = ""
    label: str = ""
    partuuid: str = ""


def find(file: int) -> list[Partition]:
    """The partitions of the image open as `file`, in the order of their table; one numbered 0 when it has none."""
    end = os.fstat(file).st_size
    first = os.pread(file, SECTOR, 0)
    header = os.pread(file, SECTOR, SECTOR)
    if header.startswith(b"EFI PART"):
        spans = _gpt(file, header)
    elif not (spans := _mbr(file, first)):
        spans = [(0, 0, end, "", None)]
    found = []
    for number, start, size, partuuid, kind in spans[:MOST]:
        if 0 <= start < end and size > 0:
            found.append(_look(file, number, start, min(size, end - start), partuuid, kind))
    return found


_Span = tuple[int, int, int, str, str | None]


def _gpt(file: int, header: bytes) -> list[_Span]:
    table, count, width = struct.unpack_from("<QII", header, 72)
    if width < 128 or width > 4096 or table > 1 << 40:
        return []
    spans: list[_Span] = []
    for index in range(min(count, MOST)):
        entry = os.pread(file, 128, table * SECTOR + index * width)
        if len(entry) < 128 or entry[:16] == bytes(16):
            continue
        first, last = struct.unpack_from("<QQ", entry, 32)
        kind = "boot" if uuid.UUID(bytes_le=entry[:16]) == _BIOS_BOOT else None
        own = str(uuid.UUID(bytes_le=entry[16:32]))
        spans.append((index + 1, first * SECTOR, (last - first + 1) * SECTOR, own, kind))
    return spans


def _mbr(file: int, first: bytes) -> list[_Span]:
    entries = _entries(first)
    # A boot sector without a table has code where a table has flags.
    if first[510:] != b"\x55\xaa" or any(flag not in (0, 0x80) for flag, *_ in entries):
        return []
    disk = f"{struct.unpack_from('<I', first, 440)[0]:08x}"
    spans: list[_Span] = []
    extended = 0
    for index, (_, kind, start, size) in enumerate(entries):
        if kind in _EXTENDED:
            extended = extended or start
        elif kind and size:
            spans.append((index + 1, start * SECTOR, size * SECTOR, f"{disk}-{index + 1:02x}", None))
    chain, number = extended, 5
    seen: set[int] = set()
    while chain and chain not in seen and len(spans) < MOST:
        seen.add(chain)
        record = os.pread(file, SECTOR, chain * SECTOR)
        if record[510:] != b"\x55\xaa":
            break
        logical, following = _entries(record)[:2]
        _, kind, start, size = logical
        if kind and size:
            spans.append((number, (chain + start) * SECTOR, size * SECTOR, f"{disk}-{number:02x}", None))
            number += 1
        chain = extended + following[2] if following[1] in _EXTENDED else 0
    return spans


def _entries(record: bytes) -> list[tuple[int, int, int, int]]:
    """(flag, type, first sector, sectors) of the four entries."""
    return [struct.unpack_from("<B3xB3xII", record, 446 + 16 * index) for index in range(4)]


def _look(file: int, number: int, start: int, size: int, partuuid: str, kind: str | None) -> Partition:
    head = os.pread(file, min(_HEAD, size), start).ljust(_HEAD, b"\0")
    known = kind or _kind(head)
    own, label = "", ""
    if known == "ext":
        own = str(uuid.UUID(bytes=head[1024 + 0x68 : 1024 + 0x78]))
        label = head[1024 + 0x78 : 1024 + 0x88].split(b"\0")[0].decode(errors="replace")
    return Partition(number, start, size, known, own, label, partuuid)


def _kind(head: bytes) -> str:
    signatures = (
        ("luks", head.startswith(b"LUKS\xba\xbe")),
        ("xfs", head.startswith(b"XFSB")),
        ("ntfs", head[3:11] == b"NTFS    "),
        ("lvm", any(head[sector * SECTOR :][:8] == b"LABELONE" for sector in range(4))),
        ("btrfs", head[0x10040:0x10048] == b"_BHRfS_M"),
        ("swap", head[4086:4096] == b"SWAPSPACE2"),
        ("ext", head[1024 + 0x38 : 1024 + 0x3A] == b"\x53\xef"),
        ("fat", head[510:512] == b"\x55\xaa" and (head[54:57] == b"FAT" or head[82:85] == b"FAT")),
    )
    return next((name for name, there in signatures if there), "unknown")
