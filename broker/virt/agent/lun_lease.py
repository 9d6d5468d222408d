"""A host's lease on a storage of LUNs: a block of its own on the LUN with Berth's table, behind table and notes.

How to reach the target the host knows from libvirt's secret of that storage, which is read as the file that it is: no
libvirtd is needed, and no password comes from the manager. Blocks are found by what is in them; a new one is taken
while the LUN is reserved. A worker that keeps the LUN reserved (it was frozen, say) must not cost all hosts their
leases: it loses the reservation, and is told so before it can write again.
"""

import base64
import json
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from . import luns
from .config import LUN_PATHS, Config
from .lease import FileLease, Lease, Record
from .target import Held, Session, address

MAGIC = b"berth-luns 1 "
TABLE_SLOT, LEASES_AT, LEASES = 256 << 10, 10 << 20, 256
_T = TypeVar("_T")


@dataclass(frozen=True)
class Place:
    """How a storage's target is reached, as libvirt's secret tells."""

    portals: tuple[str, ...]
    target: str
    chosen: tuple[int, ...]
    user: str = ""
    password: str = field(default="", repr=False)


def lease_of(config: Config, name: str, directory: str) -> Lease:
    """This host's lease on the storage `name`, which the hosts see at `directory`."""
    if directory.startswith(f"{LUN_PATHS}/"):
        storage = directory.removeprefix(f"{LUN_PATHS}/")
        patience = min(max(config.stop_after / 4, 2.0), 10.0)
        return LunLease(lambda: find(config.secrets, storage), config.host, patience=patience)
    return FileLease(directory, config.host, mounted=name in config.mounts)


def ports(config: Config, directories: Iterable[str]) -> set[int]:
    """The ports of the portals of those of the storages that are LUNs."""
    storages = [one.removeprefix(f"{LUN_PATHS}/") for one in directories if one.startswith(f"{LUN_PATHS}/")]
    return {address(portal)[1] for storage in storages for portal in find(config.secrets, storage).portals}


def find(secrets: str, storage: str) -> Place:
    """Raises OSError when the host was not given the storage."""
    for path in Path(secrets).glob("*.xml"):
        root = ElementTree.parse(path).getroot()  # noqa: S314 -- libvirt's own file, which only root writes
        if root.findtext("usage/target") != storage:
            continue
        try:
            told = json.loads(root.findtext("description", ""))
            portals = tuple(one for one in str(told["server"]).split(",") if one)
            value = path.with_suffix(".base64")
            password = base64.b64decode(value.read_bytes()).decode() if told["user"] else ""
            return Place(portals, told["export"], tuple(told["luns"]), told["user"], password)
        except (ValueError, KeyError, TypeError) as error:
            raise OSError(f"libvirt's secret of {storage} does not tell where it is: {error}") from None
    raise OSError(f"libvirt has no secret of {storage}: the host was not given it")


class LunLease(Lease):
    """`place` says where it is; after `patience` seconds a reservation of somebody else is ended."""

    def __init__(self, place: Callable[[], Place], host: str, *, patience: float = 10.0):
        super().__init__(host)
        self._place, self._patience = place, patience
        self._session: Session | None = None
        self._unit = luns.Unit(0, 0, 512)
        self._slot: int | None = None
        self._seen: dict[str, Record] = {}

    def others(self) -> dict[str, Record]:
        self._do(self._look)
        return dict(self._seen)

    def give_back(self) -> None:
        if self._read() is not None and (slot := self._slot) is not None:
            self._do(lambda session: luns.write(session, self._unit, self._at(slot), bytes(self._unit.block)))
        self._hang_up()

    def _read(self) -> Record | None:
        return self._do(self._look_at_mine)

    def _write(self, new: Record) -> None:
        self._do(lambda session: self._put(session, new.packed(self._unit.block)))

    # -- on the LUN ----------------------------------------------------------------------------------------------

    def _look_at_mine(self, session: Session) -> Record | None:
        """Where it was last; when it is not there any more, wherever it is."""
        if self._slot is not None:
            mine = Record.unpacked(luns.read(session, self._unit, self._at(self._slot), self._unit.block))
            if mine is not None and mine.host == self.host:
                return mine
        return self._look(session)

    def _look(self, session: Session) -> Record | None:
        """Read all leases; our own is returned, the others are kept."""
        block = self._unit.block
        data = luns.read(session, self._unit, LEASES_AT, LEASES * block)
        found = [Record.unpacked(data[at : at + block]) for at in range(0, len(data), block)]
        self._seen = {one.host: one for one in found if one is not None and one.host != self.host}
        mine = next((number for number, one in enumerate(found) if one is not None and one.host == self.host), None)
        self._slot = mine
        return None if mine is None else found[mine]

    def _put(self, session: Session, data: bytes) -> None:
        if self._slot is not None:
            luns.write(session, self._unit, self._at(self._slot), data)
            return
        with luns.reserved(session, self._unit):
            block = self._unit.block
            there = luns.read(session, self._unit, LEASES_AT, LEASES * block)
            blank = (at for at in range(LEASES) if not any(there[at * block : (at + 1) * block]))
            self._slot = next(blank, None)
            if self._slot is None:
                raise OSError(f"{session.target} has no room for one more host's lease")
            luns.write(session, self._unit, self._at(self._slot), data)

    def _at(self, slot: int) -> int:
        return LEASES_AT + slot * self._unit.block

    # -- the session ---------------------------------------------------------------------------------------------

    def _do(self, what: Callable[[Session], _T]) -> _T:
        """Over the session that is open, or a new one when that has ended."""
        kept = self._session is not None
        while True:
            session = self._session or self._open()
            try:
                return self._past_holders(session, what)
            except Held:
                raise
            except OSError:
                self._hang_up()
                if not kept:
                    raise
                kept = False

    def _past_holders(self, session: Session, what: Callable[[Session], _T]) -> _T:
        until = time.monotonic() + self._patience
        while True:
            try:
                return what(session)
            except Held:
                if time.monotonic() > until:
                    session.reset(self._unit.lun)
                    return what(session)
                time.sleep(0.05)

    def _open(self) -> Session:
        place, failure = self._place(), OSError("the target has no portal")
        for portal in place.portals:
            try:
                session = Session(
                    portal, place.target, user=place.user, password=place.password, timeout=self._patience / 2
                )
            except OSError as error:
                failure = error
                continue
            try:
                lowest = next((one for one in luns.numbers(session) if one in (place.chosen or (one,))), None)
                if lowest is None:
                    raise OSError(f"{place.target} has no LUN for Berth's table")
                self._unit = luns.Unit(lowest, 0, 512)
                self._unit = self._past_holders(session, self._with_table)
            except OSError:
                session.close()
                raise
            self._session = session
            return session
        raise failure

    def _with_table(self, session: Session) -> luns.Unit:
        """Nothing is written on a LUN that has no table of Berth's."""
        unit = luns.measured(session, self._unit.lun)
        if unit.size < LEASES_AT + LEASES * unit.block:
            raise OSError(f"LUN {unit.lun} of {session.target} has no room for leases")
        if not any(luns.read(session, unit, at, 4096).startswith(MAGIC) for at in (0, TABLE_SLOT)):
            raise OSError(f"LUN {unit.lun} of {session.target} has no table of Berth's")
        return unit

    def _hang_up(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session = None
