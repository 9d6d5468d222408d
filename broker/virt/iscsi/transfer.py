"""Images between files and LUNs, through Berth's own initiator.

What is written to a LUN counts only when it is whole. The LUN is reserved meanwhile, so that a worker which was frozen
and comes back writes nothing into what another one made.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from broker.virt.driver import no_volume

from . import qcow2
from .store import Shelf, begin, finish
from .table import Entry
from .units import Unit, flush, held, put, read

_PIECE = 1 << 20
Progress = Callable[[float], None]


def fetch(shelf: Shelf, name: str, target: Path, progress: Progress) -> None:
    """Write the image on a volume's LUN to the file `target`, sparse where it has nothing. Nobody may write to it."""
    unit = _unit(shelf, name)
    with target.open("wb") as file:
        for at, data in _pieces(shelf, unit, progress):
            file.seek(at)
            file.write(data)


def checksum(shelf: Shelf, name: str, progress: Progress) -> tuple[str, int]:
    """Of all that is in use, with its places; and how many bytes that are."""
    digest, length = hashlib.sha256(), 0
    for at, data in _pieces(shelf, _unit(shelf, name), progress):
        digest.update(at.to_bytes(8, "big") + data)
        length += len(data)
    return digest.hexdigest(), length


def head(shelf: Shelf, name: str, length: int) -> bytes:
    unit = _unit(shelf, name)
    return read(shelf.session, unit, 0, -(-length // unit.block) * unit.block)[:length]


def store(shelf: Shelf, name: str, source: Path, progress: Progress) -> None:
    """Make a volume of the qcow2 file `source`; done when there is a whole one of that name."""
    with source.open("rb") as file:
        size = qcow2.capacity(os.pread(file.fileno(), 512, 0))
        unit = begin(shelf, name, size)
        if unit is None:
            return
        with held(shelf.session, unit):
            if (entry := shelf.table().find(name)) is not None and entry.whole:
                return  # another worker was quicker
            length = max(os.fstat(file.fileno()).st_size, 1)
            for at, count in qcow2.spans(lambda at, count: _at(file.fileno(), at, count), length + _PIECE):
                for place in range(at, at + count, _PIECE):
                    piece = _at(file.fileno(), place, min(_PIECE, at + count - place))
                    put(shelf.session, unit, place, piece)
                    progress(min(place / length, 0.99))
            flush(shelf.session, unit)
            finish(shelf, Entry(name, unit.lun, size))


def _pieces(shelf: Shelf, unit: Unit, progress: Progress) -> Iterator[tuple[int, bytes]]:
    def look(at: int, count: int) -> bytes:
        return read(shelf.session, unit, at, count)

    spans = tuple(qcow2.spans(look, unit.size))
    total = max(sum(count for _, count in spans), 1)
    done = 0
    for at, count in spans:
        for place in range(at, at + count, _PIECE):
            piece = look(place, min(_PIECE, at + count - place))
            yield place, piece
            done += len(piece)
            progress(min(done / total, 0.99))


def _at(file: int, place: int, count: int) -> bytes:
    """Bytes of a file; what lies behind its end reads as zeroes, as QEMU leaves the last cluster short."""
    return os.pread(file, count, place).ljust(count, b"\0")


def _unit(shelf: Shelf, name: str) -> Unit:
    entry = shelf.table().find(name)
    unit = next((one for one in shelf.disks if entry is not None and entry.whole and one.lun == entry.lun), None)
    if unit is None:
        raise no_volume(name)
    return unit
