"""Disks of a simulated host's machines: paths in definitions, and volumes that know what is below them."""

from collections.abc import Mapping
from dataclasses import asdict

from broker.core.text import gettext_noop
from broker.virt.driver import DiskLimits, DiskSpec, EventKind, Refused, StorageSpec, no_volume
from broker.virt.drivers.simulated.machines import Link, find, has_agent
from broker.virt.drivers.simulated.power import running
from broker.virt.drivers.simulated.world import Data

_STEPS = 2  # looks at a merge until it is done


class Layering(Link):
    """What machines that exist have for disks."""

    def attach_disk(self, uuid: str, disk: DiskSpec) -> None:
        self.meet("attach_disk")
        with self.world.changing() as data:
            disks = live(running(data, uuid))
            disks.setdefault(disk.target, asdict(disk))

    def detach_disk(self, uuid: str, target: str) -> bool:
        self.meet("detach_disk")
        with self.world.changing() as data:
            machine = find(data, uuid)
            if machine["power"] not in ("running", "paused") or target not in live(machine):
                return True
            if machine["deaf"]:
                return False
            del live(machine)[target]
            return True

    def grow_disk(self, uuid: str, target: str, storage: StorageSpec, name: str, size: int) -> None:
        self.meet("grow_disk")
        with self.world.changing() as data:
            find(data, uuid)
            volume = volume_at(data, f"{storage.path}/{name}")
            volume["capacity"] = max(volume["capacity"], size)

    def limit_disk(self, uuid: str, target: str, limits: DiskLimits) -> None:
        self.meet("limit_disk")
        with self.world.changing() as data:
            machine = find(data, uuid)
            if machine["power"] in ("running", "paused") and target in live(machine):
                live(machine)[target]["limits"] = asdict(limits)

    def chain(self, uuid: str, target: str) -> tuple[str, ...]:
        self.meet("chain")
        with self.world.changing() as data:
            machine = find(data, uuid)
            up = machine["power"] in ("running", "paused")
            disks = live(machine) if up else _defined(machine)
            path, found = disks[target]["path"] if target in disks else "", []
            while path:
                found.append(path)
                path = volume_at(data, path)["backing"] if _has(data, path) else ""
            return tuple(found)

    def freeze_disks(self, uuid: str, overlays: Mapping[str, str], *, memory: str = "", quiesce: bool = False) -> None:
        self.meet("freeze_disks")
        with self.world.changing() as data:
            machine = running(data, uuid)
            if quiesce and not has_agent(machine):
                raise Refused(
                    gettext_noop("No guest agent answers in “%(name)s”."),
                    fix=gettext_noop("Install qemu-guest-agent in the guest, or use the power button."),
                    name=machine["name"],
                )
            if all(live(machine)[target]["path"] == path for target, path in overlays.items()):
                return
            for target, path in overlays.items():
                below = live(machine)[target]["path"]
                made = {"capacity": volume_at(data, below)["capacity"], "allocation": 200 << 10, "backing": below}
                _put(data, path, made)
                point(machine, target, path)
            if memory:
                _put(data, memory, {"capacity": 1 << 20, "allocation": 1 << 20, "backing": ""})
            self.world.note(data, EventKind.DEFINED, uuid, "defined")

    def merge_layer(self, uuid: str, target: str, *, top: str, base: str) -> float:
        self.meet("merge_layer")
        layers = self.chain(uuid, target)
        with self.world.changing() as data:
            machine = running(data, uuid)
            if top not in layers:
                return 1.0
            merges = machine.setdefault("merges", {})
            merges[target] = merges.get(target, 0) + 1
            if merges[target] <= _STEPS:
                return float(merges[target] - 1) / _STEPS
            del merges[target]
            place = layers.index(top)
            if place == 0:
                point(machine, target, base)
            else:
                volume_at(data, layers[place - 1])["backing"] = base
            return 1.0

    def stop_merge(self, uuid: str, target: str) -> None:
        self.meet("stop_merge")
        with self.world.changing() as data:
            if uuid in data["machines"]:
                find(data, uuid).setdefault("merges", {}).pop(target, None)

    def hold(self, uuid: str) -> None:
        self.meet("hold")
        with self.world.changing() as data:
            machine = find(data, uuid)
            if machine["power"] not in ("running", "paused"):
                data["runs"] += 1
                machine.update(power="paused", reason="starting", run=data["runs"])
                self.world.note(data, EventKind.POWER, uuid, "held")

    def wake_from(self, uuid: str, memory: str, disks: Mapping[str, str]) -> None:
        self.meet("wake_from")
        with self.world.changing() as data:
            machine = find(data, uuid)
            if machine["power"] in ("running", "paused"):
                return
            volume_at(data, memory)
            data["runs"] += 1
            machine.update(power="running", reason="restored", run=data["runs"])
            for target, path in disks.items():
                point(machine, target, path)
            self.world.note(data, EventKind.POWER, uuid, "started")


def _defined(machine: Data) -> dict[str, Data]:
    return {disk["target"]: disk for disk in machine["definition"].get("disks", [])}


def live(machine: Data) -> dict[str, Data]:
    """The disks of the run at hand; at its beginning those of the definition."""
    if machine.get("live_run") != machine["run"]:
        machine.update(live_run=machine["run"], live=_defined(machine))
    return machine["live"]  # type: ignore[no-any-return]


def point(machine: Data, target: str, path: str) -> None:
    for disks in (live(machine), _defined(machine)):
        if target in disks:
            disks[target]["path"] = path


def _has(data: Data, path: str) -> bool:
    folder, _, name = path.rpartition("/")
    return name in data["storages"].get(folder, {"volumes": {}})["volumes"]


def volume_at(data: Data, path: str) -> Data:
    if not _has(data, path):
        raise no_volume(path.rpartition("/")[2])
    folder, _, name = path.rpartition("/")
    return data["storages"][folder]["volumes"][name]  # type: ignore[no-any-return]


def _put(data: Data, path: str, volume: Data) -> None:
    folder, _, name = path.rpartition("/")
    data["storages"][folder]["volumes"][name] = volume
