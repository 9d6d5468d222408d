"""CDs of a simulated host's running machines."""

from broker.virt.drivers.simulated.layers import live
from broker.virt.drivers.simulated.machines import Link, find


class Changer(Link):
    """Their drives."""

    def change_cd(self, uuid: str, target: str, path: str) -> bool:
        self.meet("change_cd")
        with self.world.changing() as data:
            machine = find(data, uuid)
            if machine["power"] not in ("running", "paused"):
                return True
            if target not in (disks := live(machine)):
                return not path
            disks[target]["path"] = path
            return True
