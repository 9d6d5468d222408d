"""The power verbs of a simulated host. Guests obey at once unless they were told to be deaf."""

from typing import Literal

from broker.core import clock
from broker.core.text import gettext_noop
from broker.virt.driver import DiskSpec, EventKind, Locked, Refused, not_running
from broker.virt.drivers.simulated.machines import Link, find, has_agent
from broker.virt.drivers.simulated.world import Data


class Powering(Link):
    """Start, stop and everything between."""

    def start(self, uuid: str, *, boot: str = "", cd: DiskSpec | None = None) -> None:
        self.meet("start")
        with self.world.changing() as data:
            machine = find(data, uuid)
            if machine["power"] in ("running", "paused"):
                return
            if self.world.runs_elsewhere(uuid):
                raise Locked(
                    gettext_noop("The disk of “%(name)s” is in use on another host."),
                    fix=gettext_noop("Stop it there first."),
                    name=machine["name"],
                )
            self.require_devices(data, uuid, machine)
            saved = machine["power"] == "suspended"
            data["runs"] = max(data["runs"], machine["run"]) + 1
            machine.update(run=data["runs"], since=clock.now().isoformat())
            if not saved:
                machine["screen"] = machine["definition"].get("screen")
                machine["boot"] = boot or machine["definition"].get("hardware", {}).get("boot") or "disk"
                machine["cd"] = cd.path if cd else ""
                machine["serial"] = "LAB-UP\r\n"
            self._become(data, uuid, "running", "restored" if saved else "booted", "started")

    def require_devices(self, data: Data, uuid: str, machine: Data) -> None:
        """Raise Refused when it cannot have the devices that its definition names."""

    def shutdown(self, uuid: str, *, via: Literal["acpi", "agent"]) -> None:
        self.meet("shutdown")
        with self.world.changing() as data:
            machine = find(data, uuid)
            if machine["power"] not in ("running", "paused"):
                return
            if via == "agent" and not (machine["power"] == "running" and has_agent(machine)):
                raise Refused(
                    gettext_noop("No guest agent answers in “%(name)s”."),
                    fix=gettext_noop("Install qemu-guest-agent in the guest, or use the power button."),
                    name=machine["name"],
                )
            if machine["power"] == "running" and (via == "agent" or not machine["deaf"]):
                self._become(data, uuid, "off", "shutdown", "stopped shutdown")

    def power_off(self, uuid: str) -> None:
        self.meet("power_off")
        with self.world.changing() as data:
            if find(data, uuid)["power"] in ("running", "paused"):
                self._become(data, uuid, "off", "destroyed", "stopped destroyed")

    def reboot(self, uuid: str) -> None:
        self.meet("reboot")
        with self.world.changing() as data:
            if not running(data, uuid)["deaf"]:
                self.world.note(data, EventKind.POWER, uuid, "rebooted")

    def reset(self, uuid: str) -> None:
        self.meet("reset")
        with self.world.changing() as data:
            running(data, uuid)["serial"] += "LAB-UP\r\n"
            self.world.note(data, EventKind.POWER, uuid, "rebooted")

    def pause(self, uuid: str) -> None:
        self.meet("pause")
        with self.world.changing() as data:
            if running(data, uuid)["power"] == "running":
                self._become(data, uuid, "paused", "user", "suspended paused")

    def resume(self, uuid: str) -> None:
        self.meet("resume")
        with self.world.changing() as data:
            if running(data, uuid)["power"] == "paused":
                self._become(data, uuid, "running", "unpaused", "resumed unpaused")

    def suspend(self, uuid: str) -> None:
        self.meet("suspend")
        with self.world.changing() as data:
            if find(data, uuid)["power"] == "suspended":
                return
            running(data, uuid)
            self._become(data, uuid, "suspended", "saved", "stopped saved")

    def discard_saved(self, uuid: str) -> None:
        self.meet("discard_saved")
        with self.world.changing() as data:
            machine = find(data, uuid)
            if machine["power"] == "suspended":
                machine["power"] = "off"

    def _become(self, data: Data, uuid: str, power: str, reason: str, detail: str) -> None:
        find(data, uuid).update(power=power, reason=reason)
        self.world.note(data, EventKind.POWER, uuid, detail)


def running(data: Data, uuid: str) -> Data:
    """The data of a machine that runs or is paused. Raises NotFound, Refused."""
    machine = find(data, uuid)
    if machine["power"] not in ("running", "paused"):
        raise not_running(machine["name"])
    return machine
