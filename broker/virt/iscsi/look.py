"""A look at a portal before a storage is made of it: targets, their LUNs, and what lies on these. It writes nothing."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from broker.core.errors import BerthError
from broker.virt.driver import Refused, StorageSilent

from . import signatures, store, table
from .session import Session
from .units import Unit, read, units

MOST_TARGETS, MOST_LUNS = 64, 256


@dataclass(frozen=True, slots=True)
class Seen:
    """A LUN. `content` is a word of signatures.CONTENTS; `volume` the disk on it; `notes` those of the Berth that

    uses it, for its table and its disks alike.
    """

    lun: int
    size: int
    content: str
    volume: str = ""
    notes: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A target with its LUNs, or with the `problem` that kept us out."""

    name: str
    portals: tuple[str, ...]
    luns: tuple[Seen, ...] = ()
    problem: BerthError | None = None


def at(
    portal: str, *, user: str = "", password: str = "", progress: Callable[[float], None] = lambda share: None
) -> tuple[Found, ...]:
    """All targets of a portal. Raises StorageSilent or Refused when it does not list them."""
    with Session(portal) as session:
        named = sorted(session.targets().items())[:MOST_TARGETS]
    found = []
    for number, (name, portals) in enumerate(named):
        progress(number / len(named))
        try:
            with Session(portal, name, user=user, password=password) as session:
                found.append(Found(name, tuple(portals), luns(session)))
        except BerthError as error:
            found.append(Found(name, tuple(portals), problem=error))
    return tuple(found)


def luns(session: Session) -> tuple[Seen, ...]:
    """The LUNs of the session's target."""
    all_of_them = units(session)[:MOST_LUNS]
    contents = {one.lun: _content(session, one) for one in all_of_them}
    owned: dict[int, tuple[str, tuple[bytes, ...]]] = {}
    for unit in all_of_them:
        if contents[unit.lun] == "table":
            notes = store.read_notes(store.Shelf(session, unit, ()))
            owned[unit.lun] = "", notes
            with suppress(Refused):  # a table that is damaged names nothing, and is somebody's all the same
                owned |= {entry.lun: (entry.name, notes) for entry in table.load(session, unit).entries}
    return tuple(_seen(unit, contents[unit.lun], *owned.get(unit.lun, ("", ()))) for unit in all_of_them)


def _seen(unit: Unit, content: str, volume: str, notes: tuple[bytes, ...]) -> Seen:
    return Seen(unit.lun, unit.size, "volume" if volume else content, volume, notes)


def _content(session: Session, unit: Unit) -> str:
    """What a LUN's marks say; one that nobody lets us read is somebody's."""

    def later(place: int, count: int) -> bytes:
        return read(session, unit, place, count) if unit.size >= place + count else b""

    try:
        begin = read(session, unit, 0, min(signatures.BEGIN, unit.size // unit.block * unit.block))
        return signatures.content(begin, later)
    except StorageSilent:
        raise
    except BerthError:
        return "held"
