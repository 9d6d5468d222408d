"""The power cord of a simulated host, and the locks on images that its site's hosts respect."""

from contextlib import AbstractContextManager
from typing import Any, Protocol


class Site(Protocol):
    """The hosts that share storage; `refused` counts starts of a machine that ran on another of them."""

    worlds: list[Any]
    refused: int


class Cord:
    """Part of a World: its power."""

    site: Site

    def changing(self) -> AbstractContextManager[dict[str, Any]]:
        """The world's data, to be written back at the end; the World has it."""
        raise NotImplementedError

    def power_off(self) -> None:
        """Pull the plug: machines are gone at once, their definitions stay, and nothing answers."""
        with self.changing() as data:
            for machine in data["machines"].values():
                if machine["power"] in ("running", "paused"):
                    machine.update(power="off", reason="crashed")
            data.update(powered=False, epoch=data["epoch"] + 1)

    def power_on(self) -> None:
        """Switch it on again: it answers, and starts no machine by itself."""
        with self.changing() as data:
            data["powered"] = True

    @property
    def powered(self) -> bool:
        with self.changing() as data:
            return bool(data.get("powered", True))

    def running(self) -> set[str]:
        """The machines that run here, whether the host answers or not."""
        with self.changing() as data:
            return {key for key, one in data["machines"].items() if one["power"] in ("running", "paused")}

    def runs_elsewhere(self, machine: str) -> bool:
        """Whether another host of the site runs the machine: the images' locks are then taken."""
        taken = any(other is not self and machine in other.running() for other in self.site.worlds)
        self.site.refused += taken
        return taken
