"""The machine under a simulated host: its power, cables, daemons and fence device."""

from broker.virt.drivers.simulated import world


class Machine:
    """What lies under a host: power, cables, agent and fence device."""

    def __init__(self, name: str, uri: str):
        self.name, self.uri, self.world = name, uri, world(uri)
        self.cable = self.manager_cable = self.storage = self.agent = self.libvirt = True
        self.fence = "ok"  # or "lies", "dead", "stuck", "refuses"
        self.boots_at: float | None = None
        self.storage_lost_at: float | None = None

    @property
    def reachable(self) -> bool:
        return self.world.powered and self.cable and self.manager_cable and self.libvirt

    @property
    def sees(self) -> bool:
        return self.world.powered and self.agent and self.storage and self.cable and self.manager_cable

    def apply(self) -> None:
        """Have the driver meet what the cables and daemons are like."""
        plugged = self.cable and self.manager_cable and self.libvirt
        with self.world.changing() as data:
            if data["plugged"] and not plugged:
                data["epoch"] += 1
            data["plugged"] = plugged


class Killed(BaseException):
    """A worker dies here: nothing of its process goes on."""


def pairs(text: str) -> dict[str, int | bool | str]:
    """The values in "name=1 other=true"."""
    found: dict[str, int | bool | str] = {}
    for pair in text.split():
        name, _, value = pair.partition("=")
        found[name] = value == "true" if value in ("true", "false") else int(value) if value.isdigit() else value
    return found
