"""The devices of a simulated host: two that go together, one that the host needs, and what is plugged into it."""

from dataclasses import asdict

from broker.core.text import gettext_noop
from broker.virt.driver import DeviceSpec, HostDevice, Refused
from broker.virt.drivers.simulated.changing import Changing, run_of, spec_of
from broker.virt.drivers.simulated.power import running
from broker.virt.drivers.simulated.world import Data

_THERE = (
    HostDevice(DeviceSpec("pci", "0000:00:17.0", "8086", "a352"), "Simulated disk controller", "ahci", 3, "disk"),
    HostDevice(DeviceSpec("pci", "0000:01:00.0", "10de", "1eb8"), "Simulated graphics card", "nouveau", 7),
    HostDevice(DeviceSpec("pci", "0000:01:00.1", "10de", "10f8"), "Simulated sound of the card", "snd_hda_intel", 7),
    HostDevice(DeviceSpec("usb", "", "096e", "0858"), "Simulated security key", "usbhid"),
)


class Lending(Changing):
    """What machines have of a simulated host."""

    def host_devices(self) -> tuple[HostDevice, ...]:
        self.meet("host_devices")
        with self.world.changing() as data:
            gone = data.get("pulled_out", [])
            return tuple(one for one in _THERE if one.spec.key not in gone)

    def attach_device(self, uuid: str, device: DeviceSpec) -> None:
        self.meet("attach_device")
        with self.world.changing() as data:
            devices = run_of(running(data, uuid))["devices"]
            if device.key in devices:
                return
            if device.kind == "pci":
                raise Refused(
                    gettext_noop("A PCI device comes with a machine's start."), fix=gettext_noop("Start it anew.")
                )
            require_there(data, uuid, [device.key])
            devices[device.key] = asdict(device)

    def detach_device(self, uuid: str, device: DeviceSpec) -> bool:
        self.meet("detach_device")
        with self.world.changing() as data:
            machine = running(data, uuid)
            devices = run_of(machine)["devices"]
            if machine["deaf"]:
                return device.key not in devices
            devices.pop(device.key, None)
            return True

    def require_devices(self, data: Data, uuid: str, machine: Data) -> None:
        require_there(data, uuid, [spec_of(one).key for one in machine["definition"].get("devices", [])])


def require_there(data: Data, uuid: str, keys: list[str]) -> None:
    """Raise Refused for a device that the host does not have, or another running machine has."""
    there = {one.spec.key for one in _THERE} - set(data.get("pulled_out", []))
    others = {
        key: machine["name"]
        for other, machine in data["machines"].items()
        if other != uuid and machine["power"] in ("running", "paused")
        for key in run_of(machine)["devices"]
    }
    for key in keys:
        if key not in there or key in others:
            raise Refused(
                gettext_noop("The device %(key)s is not there, or another machine has it."),
                fix=gettext_noop("Look which machines have it, and whether it is plugged in."), key=key,
            )  # fmt: skip
