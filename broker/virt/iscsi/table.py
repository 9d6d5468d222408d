"""The table on a target's first LUN: which volume lies on which LUN, and Berth's notes.

The LUN has a head of two slots, written in turn under a reservation; each is a line (format, sequence, digest, length)
and a JSON document. Whatever breaks off, the slot before is whole. A LUN that is neither blank nor ours is left alone.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, replace

from broker.core.text import gettext_noop
from broker.virt.driver import Refused

from .session import Session
from .units import Unit, read, units, write

MAGIC = "berth-luns 1"
SLOT = 256 << 10
NOTES_AT, NOTE = 1 << 20, 4 << 20  # two slots of notes behind the table
LEAST = 16 << 20  # bytes that the first LUN must have
_PEEK = 4096


@dataclass(frozen=True, slots=True)
class Entry:
    """A volume: `size` is what the machine sees; one that is not `whole` is being written and does not count."""

    name: str
    lun: int
    size: int
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    sequence: int = 0
    entries: tuple[Entry, ...] = ()

    def find(self, name: str) -> Entry | None:
        return next((one for one in self.entries if one.name == name), None)

    def put(self, entry: Entry) -> "Table":
        kept = tuple(one for one in self.entries if one.name != entry.name)
        return replace(self, entries=tuple(sorted((*kept, entry), key=lambda one: one.lun)))

    def drop(self, name: str) -> "Table":
        return replace(self, entries=tuple(one for one in self.entries if one.name != name))

    def free(self, disks: tuple[Unit, ...]) -> tuple[Unit, ...]:
        """The LUNs that nothing lies on, the smallest first."""
        taken = {one.lun for one in self.entries}
        return tuple(sorted((one for one in disks if one.lun not in taken), key=lambda one: (one.size, one.lun)))


def lay_out(session: Session, chosen: tuple[int, ...]) -> tuple[Unit, tuple[Unit, ...]]:
    """The LUN with the table and those for disks: all of the target when none are chosen. Raises Refused."""
    found = units(session)
    missing = sorted(set(chosen) - {one.lun for one in found})
    if missing:
        raise Refused(
            gettext_noop("%(target)s has no LUN %(lun)s."), fix=gettext_noop("Choose LUNs that it has."),
            target=session.target, lun=", ".join(map(str, missing)),
        )  # fmt: skip
    kept = tuple(one for one in found if not chosen or one.lun in chosen)
    if not kept or kept[0].size < LEAST:
        raise Refused(
            gettext_noop("The first LUN of %(target)s must have %(least)s MiB at least: Berth keeps its table there."),
            fix=gettext_noop("Add a small LUN in front."), target=session.target, least=LEAST >> 20,
        )  # fmt: skip
    return kept[0], kept[1:]


def load(session: Session, unit: Unit) -> Table:
    """The newest whole table; an empty one of a blank LUN. Raises Refused for a LUN with something else on it."""
    slots = [read(session, unit, place * SLOT, SLOT) for place in (0, 1)]
    tables = [one for one in map(unseal, slots) if one is not None]
    if tables:
        return max(tables, key=lambda one: one.sequence)
    if any(slots[0][:_PEEK]) or any(read(session, unit, unit.size - _PEEK, _PEEK)):
        raise Refused(
            gettext_noop("LUN %(lun)s of %(target)s is not blank, and what is on it is not Berth's."),
            fix=gettext_noop("Choose other LUNs, or overwrite this one with zeroes if nobody needs it."),
            lun=unit.lun, target=session.target,
        )  # fmt: skip
    return Table()


def save(session: Session, unit: Unit, table: Table) -> Table:
    """Write the table into the slot that is not the newest."""
    table = replace(table, sequence=table.sequence + 1)
    data = seal(table)
    if len(data) > SLOT:
        raise Refused(
            gettext_noop("There are too many disks on %(target)s."), fix=gettext_noop("Use one more target."),
            target=session.target,
        )  # fmt: skip
    write(session, unit, table.sequence % 2 * SLOT, data)
    return table


def seal(table: Table) -> bytes:
    body = json.dumps([asdict(one) for one in table.entries], sort_keys=True).encode()
    return f"{MAGIC} {table.sequence} {hashlib.sha256(body).hexdigest()} {len(body)}\n".encode() + body


def unseal(data: bytes) -> Table | None:
    """The table in a slot; None for one that is torn or none."""
    head = data[:_PEEK].partition(b"\n")[0]
    words = head.decode("ascii", "replace").split(" ")
    if len(words) != 5 or " ".join(words[:2]) != MAGIC or not words[2].isdecimal() or not words[4].isdecimal():
        return None
    begin = len(head) + 1
    body = data[begin : begin + int(words[4])]
    if hashlib.sha256(body).hexdigest() != words[3]:
        return None
    try:
        return Table(int(words[2]), tuple(Entry(**one) for one in json.loads(body)))
    except (ValueError, TypeError):
        return None
