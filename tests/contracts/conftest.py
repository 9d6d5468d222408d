"""One parameter of the driver contract: each driver that is found, on a host of its own kind."""

import time
import uuid
from collections.abc import Iterator

import pytest

from broker.virt.driver import DiskSpec, HostConnection, HostEvent, MachineSpec, StorageSpec, VolumeInfo
from broker.virt.drivers import known
from tests.contracts.harness import HARNESSES, Harness, connect
from tests.lab.fixtures import remove_machines

# what needs no hypervisor runs in the fast lane
_MARKS = {"simulated": ()}
DRIVERS = [pytest.param(name, marks=_MARKS.get(name, pytest.mark.lab)) for name in known()]


@pytest.fixture(params=DRIVERS)
def driver_name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def harness(driver_name: str, request: pytest.FixtureRequest) -> Harness:
    made = HARNESSES[driver_name]
    if driver_name == "libvirt":
        return made(request.getfixturevalue("lab_host"), request.getfixturevalue("lab_base"))
    return made()


@pytest.fixture
def host(harness: Harness, driver_name: str) -> Iterator[HostConnection]:
    """A fresh connection; the machines a test leaves behind are removed."""
    connection = connect(harness, driver_name)
    yield connection
    if connection.alive():
        remove_machines(connection)
    connection.close()


@pytest.fixture
def store(host: HostConnection, harness: Harness) -> Iterator[StorageSpec]:
    spec = harness.storage()
    host.ensure_storage(spec)
    yield spec
    if host.alive():
        remove_machines(host)
        for volume in host.volumes(spec):
            host.delete_volume(spec, volume.name)


@pytest.fixture
def base(host: HostConnection, store: StorageSpec, harness: Harness) -> VolumeInfo:
    """A qcow2 copy of the harness's guest."""
    return host.copy_volume(store, "base.qcow2", source=harness.source())


@pytest.fixture
def spec(host: HostConnection, store: StorageSpec, base: VolumeInfo) -> MachineSpec:
    """A machine that is not yet defined, its disk an overlay of `base`."""
    disk = host.create_volume(store, "one.qcow2", backing=base)
    return MachineSpec(
        uuid=str(uuid.uuid4()),
        name="one",
        vcpus=1,
        memory_mib=32,
        disks=(DiskSpec(path=disk.path, format="qcow2", target="vda"),),
        mark="mark-1",
    )


@pytest.fixture
def machine(host: HostConnection, spec: MachineSpec) -> str:
    """The UUID of a defined machine."""
    host.define(spec)
    return spec.uuid


class Events(list[HostEvent]):
    """The events so far; `wait` returns the first that fits."""

    def wait(self, fits, *, timeout: float = 1.0) -> HostEvent:
        deadline = time.monotonic() + timeout
        while True:
            for event in list(self):
                if fits(event):
                    return event
            assert time.monotonic() < deadline, f"no such event in {timeout} s, only {list(self)}"
            time.sleep(0.005)


@pytest.fixture
def events(host: HostConnection) -> Iterator[Events]:
    seen = Events()
    stop = host.subscribe(seen.append)
    yield seen
    stop()


@pytest.fixture
def doomed(lab_base) -> Iterator[Harness]:
    """A second libvirt host on a network of its own, to be lost."""
    from tests.contracts.harness import LibvirtHarness
    from tests.lab.lab import Lab

    with Lab(lab_base / "doomed", 1) as lab:
        yield LibvirtHarness(lab.hosts["lab-a"], lab_base)
