"""What the contract suite needs of each driver: a host, a guest to run, and hands that act behind its back.

A new driver adds one class here and its name to HARNESSES; the suite fails for a driver without one.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from broker.virt.driver import HostConnection, StorageSpec, VolumeInfo
from broker.virt.drivers import load, simulated
from tests.lab import guest


class Harness(Protocol):
    """A host under test. `agent`: its guests run a guest agent; `saves`: suspending takes real time."""

    uri: str
    agent: bool

    def source(self) -> VolumeInfo:
        """An image outside every storage, with a guest that writes LAB-UP to its serial line."""
        ...

    def storage(self) -> StorageSpec: ...
    def destroy(self, machine: str) -> None: ...
    def edit(self, machine: str) -> None: ...
    def forget(self, machine: str) -> None: ...
    def add_foreign(self, name: str) -> str: ...
    def lose_file(self, volume: VolumeInfo) -> None:
        """Delete a volume's file with other tools."""
        ...

    def lose_host(self) -> None:
        """Make the host unreachable for good."""
        ...


class SimulatedHarness:
    """The simulated driver: everything is data."""

    agent = True

    def __init__(self) -> None:
        self.uri = f"sim://contract-{uuid.uuid4().hex[:8]}"
        self.world = simulated.world(self.uri)

    def source(self) -> VolumeInfo:
        return VolumeInfo(name="guest.raw", path="/images/guest.raw", format="raw", capacity=1 << 20, allocation=512)

    def storage(self) -> StorageSpec:
        return StorageSpec(name="contract", kind="dir", path="/disks")

    def destroy(self, machine: str) -> None:
        load("simulated").connect(self.uri).power_off(machine)

    def edit(self, machine: str) -> None:
        self.world.edit(machine, title="edited")

    def forget(self, machine: str) -> None:
        load("simulated").connect(self.uri).undefine(machine)

    def add_foreign(self, name: str) -> str:
        return self.world.add_foreign(name)

    def lose_file(self, volume: VolumeInfo) -> None:
        with self.world.changing() as data:
            del data["storages"]["/disks"]["volumes"][volume.name]

    def lose_host(self) -> None:
        self.world.unplug()


class LibvirtHarness:
    """The libvirt driver on a private libvirtd; acts behind its back through a connection of its own."""

    agent = False

    def __init__(self, host: object, base: Path) -> None:
        import libvirt

        self.libvirt, self.host, self.base, self.uri = libvirt, host, base, host.uri

    @contextmanager
    def other(self) -> Iterator[object]:
        connection = self.libvirt.open(self.uri)
        yield connection
        connection.close()

    def source(self) -> VolumeInfo:
        image = self.base / "contract-images" / "guest.raw"
        if not image.exists():
            image.parent.mkdir(exist_ok=True)
            guest.write_image(image)
        return VolumeInfo(name=image.name, path=str(image), format="raw", capacity=1 << 20, allocation=0)

    def storage(self) -> StorageSpec:
        return StorageSpec(name="contract", kind="dir", path=str(self.base / "contract-disks"))

    def destroy(self, machine: str) -> None:
        with self.other() as connection:
            connection.lookupByUUIDString(machine).destroy()

    def edit(self, machine: str) -> None:
        with self.other() as connection:
            domain = connection.lookupByUUIDString(machine)
            domain.setMetadata(
                self.libvirt.VIR_DOMAIN_METADATA_TITLE, "edited", None, None, self.libvirt.VIR_DOMAIN_AFFECT_CONFIG
            )

    def forget(self, machine: str) -> None:
        with self.other() as connection:
            connection.lookupByUUIDString(machine).undefine()

    def add_foreign(self, name: str) -> str:
        with self.other() as connection:
            domain = connection.defineXML(
                f"<domain type='qemu'><name>{name}</name><memory>16384</memory><os><type>hvm</type></os></domain>"
            )
            return domain.UUIDString()

    def lose_file(self, volume: VolumeInfo) -> None:
        Path(volume.path).unlink()

    def lose_host(self) -> None:
        self.host.stop_daemon()


def connect(harness: Harness, driver: str) -> HostConnection:
    """A connection of `driver` to the harness's host."""
    return load(driver).connect(harness.uri, timeout=20)


HARNESSES = {"libvirt": LibvirtHarness, "simulated": SimulatedHarness}
