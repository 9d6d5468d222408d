"""A target as a place for volumes: one qcow2 image a LUN, found by the table on the first of them.

A volume is written down before its LUN is touched and counts only when it is whole, so that whoever comes back after a
crash begins anew. A LUN is taken only when its beginning is blank, and left blank when its volume goes: what was on it
before is never shown to a guest, for an image's blocks that nothing was written to read as zeroes.
"""

import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from broker.core.text import gettext_noop
from broker.virt.driver import (
    LUN_PATHS,
    NoSpace,
    Refused,
    StorageInfo,
    StorageSilent,
    StorageSpec,
    VolumeInfo,
    no_volume,
)

from . import table as tables
from .session import Session
from .table import Entry, Table
from .units import Unit, flush, held, put, read, write

_PEEK = 64 << 10
_PIECE = 1 << 20
_CREATE_TIMEOUT = 60.0


def need(size: int) -> int:
    """The bytes that a qcow2 image of `size` takes at most, with the notes of what changed since a backup."""
    return size + size // 2048 + (4 << 20)


@dataclass(frozen=True, slots=True)
class Shelf:
    """A session with the target, and its LUNs: the one with the table, and those for disks."""

    session: Session
    first: Unit
    disks: tuple[Unit, ...]

    def table(self) -> Table:
        return tables.load(self.session, self.first)

    def free(self, table: Table) -> tuple[Unit, ...]:
        return table.free(self.disks)


@contextmanager
def opened(spec: StorageSpec) -> Iterator[Shelf]:
    """The target over the first portal that answers."""
    portals = [one for one in spec.server.split(",") if one]
    session = _first(portals, spec)
    with session:
        first, disks = tables.lay_out(session, spec.luns)
        yield Shelf(session, first, disks)


def _first(portals: Sequence[str], spec: StorageSpec) -> Session:
    failure: StorageSilent | None = None
    for portal in portals:
        try:
            return Session(portal, spec.export, user=spec.user, password=spec.password)
        except StorageSilent as error:
            failure = failure or error
    assert failure is not None, "a target has a portal"
    raise failure


def claim(shelf: Shelf) -> None:
    """Have a table on the first LUN; a blank one becomes ours."""
    with held(shelf.session, shelf.first):
        table = shelf.table()
        if not table.sequence:
            tables.save(shelf.session, shelf.first, table)


def info(shelf: Shelf) -> StorageInfo:
    table = shelf.table()
    whole, free = sum(one.size for one in shelf.disks), sum(one.size for one in shelf.free(table))
    return StorageInfo(capacity=whole, allocation=whole - free, available=free)


def listed(shelf: Shelf, name: str) -> tuple[VolumeInfo, ...]:
    """The whole volumes; `name` is the storage's."""
    sizes = {one.lun: one.size for one in shelf.disks}
    return tuple(
        VolumeInfo(
            name=one.name, path=f"{LUN_PATHS}/{name}/{one.name}", format="qcow2", capacity=one.size,
            allocation=sizes.get(one.lun, 0),
        )
        for one in sorted(shelf.table().entries, key=lambda one: one.name)
        if one.whole
    )  # fmt: skip


def create(shelf: Shelf, name: str, size: int) -> None:
    """A blank image on the smallest LUN that has room for it."""
    with held(shelf.session, shelf.first):
        unit = _take(shelf, name, size)
        if unit is not None:
            write(shelf.session, unit, 0, blank(size))
            tables.save(shelf.session, shelf.first, shelf.table().put(Entry(name, unit.lun, size)))


def begin(shelf: Shelf, name: str, size: int) -> Unit | None:
    """The LUN for an image of `size` that is being written, and does not count yet; None when there is a whole one."""
    with held(shelf.session, shelf.first):
        return _take(shelf, name, size)


def finish(shelf: Shelf, entry: Entry) -> None:
    """What was begun is whole."""
    with held(shelf.session, shelf.first):
        tables.save(shelf.session, shelf.first, shelf.table().put(entry))


def grow(shelf: Shelf, name: str, size: int) -> None:
    """Note down that a volume is to have `size`, which its LUN must have room for; smaller it does not get."""
    with held(shelf.session, shelf.first):
        table = shelf.table()
        entry = table.find(name)
        if entry is None or not entry.whole:
            raise no_volume(name)
        unit = _unit(shelf, entry)
        if unit.size < need(size):
            raise NoSpace(
                gettext_noop("LUN %(lun)s of %(target)s has %(has)s MiB; a disk of %(size)s MiB needs %(need)s MiB."),
                fix=gettext_noop("Make the LUN larger on its server, or move the disk to a larger one."),
                lun=unit.lun, target=shelf.session.target, has=unit.size >> 20, size=size >> 20,
                need=-(-need(size) >> 20),
            )  # fmt: skip
        if entry.size < size:
            tables.save(shelf.session, shelf.first, table.put(Entry(name, entry.lun, size)))


def _take(shelf: Shelf, name: str, size: int) -> Unit | None:
    """The LUN of a volume that is not whole yet, chosen and written down if it is new."""
    table = shelf.table()
    entry = table.find(name)
    if entry is None:
        unit = _choose(shelf, table, size)
        entry = Entry(name, unit.lun, size, whole=False)
        tables.save(shelf.session, shelf.first, table.put(entry))
    if entry.size != size:
        raise Refused(
            gettext_noop("There is another volume called “%(name)s” already."),
            fix=gettext_noop("Delete it, or use another name."), name=name,
        )  # fmt: skip
    return None if entry.whole else _unit(shelf, entry)


def _unit(shelf: Shelf, entry: Entry) -> Unit:
    chosen = _there(shelf, entry)
    if chosen is None:
        raise _gone(shelf, entry)
    return chosen


def wipe(shelf: Shelf, name: str, progress: Callable[[float], None]) -> None:
    """Overwrite its LUN from end to end. It is reserved meanwhile; from the beginning the volume does not count."""
    with held(shelf.session, shelf.first):
        entry = _uncounted(shelf, name)
    unit = None if entry is None else _there(shelf, entry)
    if unit is None:
        return
    with held(shelf.session, unit):
        again = shelf.table().find(name)
        if again is None or again.whole or again.lun != unit.lun:
            return  # another worker was quicker
        for place in range(0, unit.size, _PIECE):
            put(shelf.session, unit, place, bytes(min(_PIECE, unit.size - place)))
            progress(min(place / unit.size, 0.99))
        flush(shelf.session, unit)
    progress(1.0)


def delete(shelf: Shelf, name: str) -> None:
    """Leave its LUN blank, and free."""
    with held(shelf.session, shelf.first):
        entry = _uncounted(shelf, name)
        if entry is None:
            return
        unit = _there(shelf, entry)
        if unit is not None:
            write(shelf.session, unit, 0, bytes(_PEEK))
        tables.save(shelf.session, shelf.first, shelf.table().drop(name))


def _uncounted(shelf: Shelf, name: str) -> Entry | None:
    """Its entry, by which it does not count from now on, whatever is left on the LUN. The table is held."""
    table = shelf.table()
    entry = table.find(name)
    if entry is not None and entry.whole:
        entry = Entry(name, entry.lun, entry.size, whole=False)
        tables.save(shelf.session, shelf.first, table.put(entry))
    return entry


def _there(shelf: Shelf, entry: Entry) -> Unit | None:
    return next((one for one in shelf.disks if one.lun == entry.lun), None)


def read_notes(shelf: Shelf) -> tuple[bytes, ...]:
    found = []
    for slot in (0, 1):
        place = tables.NOTES_AT + slot * tables.NOTE
        length = int.from_bytes(read(shelf.session, shelf.first, place, 4096)[:8], "big")
        if 0 < length <= tables.NOTE - 8:
            block = shelf.first.block
            found.append(read(shelf.session, shelf.first, place, -(-(length + 8) // block) * block)[8 : length + 8])
    return tuple(found)


def write_note(shelf: Shelf, name: str, slot: int, data: bytes) -> None:
    if len(data) > tables.NOTE - 8:
        raise Refused(
            gettext_noop("There are too many machines on “%(name)s” to note them down there."),
            fix=gettext_noop("Spread them over several storages."), name=name,
        )  # fmt: skip
    place = tables.NOTES_AT + slot * tables.NOTE
    write(shelf.session, shelf.first, place, len(data).to_bytes(8, "big") + data)


def _choose(shelf: Shelf, table: Table, size: int) -> Unit:
    """The smallest free LUN with room; one with something on it that Berth did not put there is nobody's to take."""
    free = [one for one in shelf.free(table) if one.size >= need(size)]
    for unit in free:
        if not any(read(shelf.session, unit, 0, _PEEK)):
            return unit
    if free:
        raise Refused(
            gettext_noop("On LUN %(lun)s of %(target)s is something that is not Berth's."),
            fix=gettext_noop("Choose other LUNs, or overwrite its first 64 KiB with zeroes if nobody needs it."),
            lun=free[0].lun, target=shelf.session.target,
        )  # fmt: skip
    raise NoSpace(
        gettext_noop("%(target)s has no free LUN of %(need)s MiB for a disk of %(size)s MiB."),
        fix=gettext_noop("Add a LUN there, or choose another storage."),
        target=shelf.session.target, need=-(-need(size) >> 20), size=size >> 20,
    )  # fmt: skip


def _gone(shelf: Shelf, entry: Entry) -> Refused:
    return Refused(
        gettext_noop("%(target)s has no LUN %(lun)s."), fix=gettext_noop("Choose LUNs that it has."),
        target=shelf.session.target, lun=entry.lun,
    )  # fmt: skip


def blank(size: int) -> bytes:
    """The beginning of a qcow2 image of `size`; the rest of it is whatever lies on the LUN, and never read."""
    with tempfile.TemporaryDirectory(prefix="berth-lun-") as folder:
        path = Path(folder) / "blank.qcow2"
        words = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", "compat=1.1", str(path), str(size)]
        subprocess.run(words, check=True, capture_output=True, timeout=_CREATE_TIMEOUT)
        return path.read_bytes()
