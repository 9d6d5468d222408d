"""Migration between simulated hosts: at once, unless the source was told that it takes time.

Hosts between which machines move should be of one site. A move under way is data of the source (`order_moves` sets
how it goes), and goes on with the clock: whoever looks brings it up to date.
"""

from dataclasses import asdict
from datetime import datetime

from broker.core import clock
from broker.core.text import gettext_noop
from broker.virt.driver import (
    EventKind,
    HostUnreachable,
    MigrationOrder,
    MigrationResult,
    MigrationStats,
    Refused,
    SavedPoints,
)
from broker.virt.drivers.simulated.machines import Link, find
from broker.virt.drivers.simulated.power import running
from broker.virt.drivers.simulated.world import Data, World, world

_DOWNTIME_MS = 50


class Moving(Link):
    """Machines that leave a host or came to it."""

    def begin_migration(self, uuid: str, order: MigrationOrder, *, patience: float = 2.0) -> None:
        self.meet("begin_migration")
        target = _reach(order.uri)
        with self.world.changing() as data:
            machine = running(data, uuid)
            if machine.get("move"):
                return
            pace = data.get("moves", {"seconds": 0.0, "needs_ms": 0})
            machine["move"] = pace | {
                "uri": order.uri, "began": clock.now().isoformat(), "downtime_ms": 300, "post_copy": False,
                "may_post_copy": order.post_copy, "paths": {copy.target: copy.path for copy in order.copies},
            }  # fmt: skip
        with target.changing() as there:
            if there["machines"].get(uuid, {}).get("power") in ("running", "paused"):
                raise Refused(
                    gettext_noop("The machine runs on “%(host)s” already."),
                    fix=gettext_noop("Look at both hosts."),
                    host=target.name,
                )
        settle(self.world, uuid)

    def migration(self, uuid: str) -> MigrationStats | None:
        self.meet("migration")
        settle(self.world, uuid)
        with self.world.changing() as data:
            move = data["machines"].get(uuid, {}).get("move")
            if not move:
                return None
            total = int(find(data, uuid)["definition"].get("memory_mib", 0)) << 20
            spent = _spent(move)
            share = min(spent / move["seconds"], 1.0) if move["seconds"] else 1.0
            return MigrationStats(
                total=total, remaining=max(int(total * (1 - share)), 1 << 20), sent=int(total * share),
                elapsed_ms=int(spent * 1000), passes=1 + int(spent), post_copy=move["post_copy"],
                expected_downtime_ms=move["needs_ms"],
            )  # fmt: skip

    def adjust_migration(self, uuid: str, *, downtime_ms: int = 0, bandwidth_mib: int = 0) -> None:
        self.meet("adjust_migration")
        self._change(uuid, {"downtime_ms": downtime_ms} if downtime_ms else {})

    def begin_post_copy(self, uuid: str) -> None:
        self.meet("begin_post_copy")
        self._change(uuid, {"post_copy": True})

    def cancel_migration(self, uuid: str) -> None:
        self.meet("cancel_migration")
        settle(self.world, uuid)
        with self.world.changing() as data:
            machine = data["machines"].get(uuid, {})
            if machine.get("move", {}).get("post_copy"):
                raise Refused(
                    gettext_noop("“%(name)s” runs on the other host already and fetches the rest of its memory."),
                    fix=gettext_noop("Wait until it has all of it."),
                    name=machine["name"],
                )
            machine.pop("move", None)

    def finish_migration(self, uuid: str) -> None:
        self.meet("finish_migration")
        with self.world.changing() as data:
            find(data, uuid)

    def migrated(self, uuid: str) -> MigrationResult | None:
        self.meet("migrated")
        with self.world.changing() as data:
            told = data["machines"].get(uuid, {}).get("came")
            return MigrationResult(**told) if told else None

    def saved_points(self, uuid: str) -> SavedPoints:
        self.meet("saved_points")
        with self.world.changing() as data:
            kept = find(data, uuid).get("points", {})
        return SavedPoints(
            snapshots=tuple(kept.get("snapshots", ())),
            current=kept.get("current", ""),
            checkpoints=tuple(kept.get("checkpoints", ())),
        )

    def forget_points(self, uuid: str) -> None:
        self.meet("forget_points")
        with self.world.changing() as data:
            find(data, uuid).pop("points", None)

    def restore_points(self, uuid: str, points: SavedPoints) -> None:
        self.meet("restore_points")
        if points == SavedPoints():
            return
        with self.world.changing() as data:
            find(data, uuid).setdefault("points", asdict(points))

    def _change(self, uuid: str, changes: Data) -> None:
        with self.world.changing() as data:
            if move := data["machines"].get(uuid, {}).get("move"):
                move.update(changes)
        settle(self.world, uuid)


def order_moves(place: World, *, seconds: float, needs_ms: int = 0) -> None:
    """Have migrations away from `place` take this long, and end only once `needs_ms` of downtime are allowed."""
    with place.changing() as data:
        data["moves"] = {"seconds": seconds, "needs_ms": needs_ms}


def settle(source: World, uuid: str) -> None:
    """Bring a move under way up to date: ended when its time has come, broken off when the target is gone."""
    with source.changing() as data:
        machine = data["machines"].get(uuid, {})
        move = machine.get("move")
        if not move:
            return
        try:
            target = _reach(move["uri"])
        except HostUnreachable:
            if not move["post_copy"]:
                machine.pop("move")
            return
        converged = move["post_copy"] or move["needs_ms"] <= move["downtime_ms"]
        if _spent(move) < move["seconds"] or not converged:
            return
        _hand_over(source, data, uuid, target)


def _hand_over(source: World, data: Data, uuid: str, target: World) -> None:
    machine = data["machines"].pop(uuid)
    move = machine.pop("move")
    machine.pop("points", None)
    for disk in machine["definition"].get("disks", ()):
        disk["path"] = move["paths"].get(disk["target"], disk["path"])
    machine["reason"] = "migrated"
    machine["came"] = {"elapsed_ms": int(_spent(move) * 1000), "downtime_ms": max(move["needs_ms"], _DOWNTIME_MS)}
    with target.changing() as there:
        there["machines"][uuid] = machine
        target.note(there, EventKind.POWER, uuid, "started migrated")
    source.note(data, EventKind.POWER, uuid, "stopped migrated")
    source.note(data, EventKind.UNDEFINED, uuid, "undefined")


def _reach(uri: str) -> World:
    """The other host. Raises HostUnreachable when it is unplugged."""
    target = world(uri)
    with target.changing() as data:
        plugged = data["plugged"]
    if not plugged:
        raise HostUnreachable(
            gettext_noop("The host does not answer: %(reason)s."),
            fix=gettext_noop("Plug the simulated host in."),
            reason=target.name,
        )
    return target


def _spent(move: Data) -> float:
    return (clock.now() - datetime.fromisoformat(move["began"])).total_seconds()
