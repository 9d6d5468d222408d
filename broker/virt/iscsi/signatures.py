"""What lies on a LUN, as far as the marks of known formats tell: read only, and never more than a few kilobytes."""

from collections.abc import Callable

from . import table

BEGIN = 132 << 10
"""So many bytes of a LUN hold all marks but one; that of VMFS is at VMFS_AT."""
VMFS_AT, VMFS_LENGTH = 1 << 20, 4096

BLANK, UNKNOWN = "blank", "unknown"
_MARKS: tuple[tuple[str, int, bytes], ...] = (
    ("table", 0, table.MAGIC.encode()),
    ("image", 0, b"QFI\xfb"),
    ("luks", 0, b"LUKS\xba\xbe"),
    ("gpt", 512, b"EFI PART"),
    ("gpt", 4096, b"EFI PART"),
    ("lvm", 0, b"LABELONE"),
    ("lvm", 512, b"LABELONE"),
    ("lvm", 1024, b"LABELONE"),
    ("lvm", 1536, b"LABELONE"),
    ("raid", 0, b"\xfc\x4e\x2b\xa9"),
    ("raid", 4096, b"\xfc\x4e\x2b\xa9"),
    ("xfs", 0, b"XFSB"),
    ("btrfs", 65600, b"_BHRfS_M"),
    ("ntfs", 3, b"NTFS    "),
    ("ext", 1080, b"\x53\xef"),
    ("iso", 32769, b"CD001"),
    ("swap", 4086, b"SWAPSPACE2"),
    ("gfs", 65536, b"\x01\x16\x19\x70"),
    ("ocfs", 1024, b"OCFSV2"),
    ("sanlock", 0, b"\x12\x21\x20\x10"),
    ("mbr", 510, b"\x55\xaa"),  # last: file systems that can be booted from have it, too
)
_ZFS = {(0x00BAB10C).to_bytes(8, order) for order in ("little", "big")}  # type: ignore[arg-type]

CONTENTS = (BLANK, *dict.fromkeys(word for word, _, _ in _MARKS), "zfs", "vmfs", "volume", "held", UNKNOWN)
"""Every word for what lies on a LUN. "volume": a disk of the Berth whose table names it; "held": nobody may read it."""


def content(begin: bytes, later: Callable[[int, int], bytes]) -> str:
    """The word for a LUN with the first BEGIN bytes `begin`; `later` reads more, from a place so many bytes."""
    for word, place, mark in _MARKS:
        if begin[place : place + len(mark)] == mark:
            return word
    if any(begin[place : place + 8] in _ZFS for place in range(128 << 10, len(begin) - 7, 1024)):
        return "zfs"
    if later(VMFS_AT, VMFS_LENGTH)[:4] == b"\x0d\xd0\x01\xc0":
        return "vmfs"
    return UNKNOWN if any(begin) else BLANK
