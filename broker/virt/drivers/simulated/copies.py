"""Disks of a simulated host's running machines, copied in a few looks."""

from broker.virt.driver import no_volume
from broker.virt.drivers.simulated.layers import Layering, live, point, volume_at
from broker.virt.drivers.simulated.machines import find
from broker.virt.drivers.simulated.power import running

_STEPS = 2  # looks at a copy until it is whole


class Copying(Layering):
    """The copies of running disks; they are kept with the run that they belong to."""

    def mirror_disk(self, uuid: str, target: str, path: str, *, bandwidth: int = 0, raw: bool = False) -> float:
        self.meet("mirror_disk")
        with self.world.changing() as data:
            machine = running(data, uuid)
            disk = live(machine).get(target)
            if disk is None:
                raise no_volume(target)
            if disk["path"] == path:
                return 1.0
            volume_at(data, path)
            mirrors = machine.setdefault("mirrors", {})
            begun = mirrors.get(target)
            if begun is None or begun["run"] != machine["run"] or begun["path"] != path:
                mirrors[target] = {"run": machine["run"], "path": path, "looks": 0, "bandwidth": bandwidth}
                return 0.0
            begun.update(looks=begun["looks"] + 1, bandwidth=bandwidth)
            return min(float(begun["looks"]) / _STEPS, 1.0)

    def pivot_disk(self, uuid: str, target: str, path: str) -> bool:
        self.meet("pivot_disk")
        with self.world.changing() as data:
            machine = find(data, uuid)
            if machine["power"] not in ("running", "paused"):
                return False
            if live(machine)[target]["path"] == path:
                return True
            begun = machine.get("mirrors", {}).get(target)
            whole = begun and begun["run"] == machine["run"] and begun["path"] == path and begun["looks"] >= _STEPS
            if not whole:
                return False
            del machine["mirrors"][target]
            point(machine, target, path)
            return True

    def stop_mirror(self, uuid: str, target: str) -> None:
        self.meet("stop_mirror")
        with self.world.changing() as data:
            if uuid in data["machines"]:
                find(data, uuid).setdefault("mirrors", {}).pop(target, None)
