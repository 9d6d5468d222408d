"""Which parts of a qcow2 image are in use, by its own counts: what else lies on a LUN is nobody's and is never read.

Layout: QEMU's docs/interop/qcow2.txt.
"""

import struct
from collections.abc import Callable, Iterator

from broker.core.text import gettext_noop
from broker.virt.driver import Refused

_MOST_TABLE = 8 << 20  # bytes of a refcount table; more than 64 TiB need
_USUAL_COUNT = 4  # counts of 16 bits

Read = Callable[[int, int], bytes]


def capacity(head: bytes) -> int:
    """The bytes that a guest sees, by the first bytes of an image. Raises Refused for what is none of ours."""
    return _header(head)[1]


def spans(read: Read, size: int) -> Iterator[tuple[int, int]]:
    """The places in use and their lengths, in order, of an image in `size` bytes. Raises Refused."""
    cluster, _, table_at, table_length = _header(read(0, 512))
    if table_length > _MOST_TABLE or table_at + table_length > size:
        raise _damaged()
    table = read(table_at, table_length)
    begin = end = -1
    for number in range(table_length // 8):
        place = struct.unpack_from(">Q", table, number * 8)[0] & ~0x1FF
        if not place:
            continue
        if place + cluster > size:
            raise _damaged()
        first = number * (cluster // 2) * cluster
        for at in _counted(read(place, cluster), first, cluster):
            if at + cluster > size:
                raise _damaged()
            if at != end:
                if begin >= 0:
                    yield begin, end - begin
                begin = at
            end = at + cluster
    if begin >= 0:
        yield begin, end - begin


def _counted(block: bytes, first: int, cluster: int) -> Iterator[int]:
    """The places of the clusters that a block of counts says are in use; `first` is that of its first count."""
    for index in range(0, len(block), 2):
        if block[index] or block[index + 1]:
            yield first + index // 2 * cluster


def _header(head: bytes) -> tuple[int, int, int, int]:
    """The size of a cluster, that of the disk, and place and length of the table of counts."""
    magic, version, below, _, bits, size = struct.unpack_from(">4sIQIIQ", head)
    table_at, clusters = struct.unpack_from(">QI", head, 48)
    order = struct.unpack_from(">I", head, 96)[0] if version == 3 else _USUAL_COUNT
    if magic != b"QFI\xfb" or version not in (2, 3) or below or not 9 <= bits <= 21 or order != _USUAL_COUNT:
        raise _damaged()
    return 1 << bits, size, table_at, clusters << bits


def _damaged() -> Refused:
    return Refused(
        gettext_noop("What lies there is no whole qcow2 image."),
        fix=gettext_noop("Look whether something else has written to the LUN."),
    )
