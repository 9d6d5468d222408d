"""Fixtures for tests on real machines; tests/conftest.py names this module in `pytest_plugins`.

A test that uses one of these is marked `@pytest.mark.lab` and runs inside the cage:

    python -m tests.lab.cage -- python -m pytest -m lab

- `lab_host`: a running LabHost, one for the whole session. `lab_host.uri` is for the libvirt driver.
- `connection`: the libvirt driver's connection to it. Machines and networks a test leaves behind are removed.
- `storage`: a StorageSpec, attached; its volumes are deleted after the test.
- `guest_disk`: a VolumeInfo with the 512-byte guest, to make overlays of.
- `make_machine`: define a machine with the 512-byte guest in one call.
- `lab_hosts`: a Lab of three hosts between which machines move, one for the whole session. What a test cut,
  crashed or left behind on them is put right after it.
- `tiny_image`: path of the small Linux image that deploy/image/ensure builds.
- `server_image`: that of the Debian server with cloud-init, built likewise.
- `host_image`: that of a Debian host, built likewise; tests/lab/metal.py boots it.
"""

import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from broker.virt.driver import (
    DiskSpec,
    HostConnection,
    MachineSpec,
    NotFound,
    PowerState,
    StorageSpec,
    VolumeInfo,
)
from broker.virt.drivers import load
from tests.lab import cage, guest
from tests.lab.host import LabHost
from tests.lab.lab import Lab

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def lab_base() -> Iterator[Path]:
    """A directory with a short path, for hosts and their sockets."""
    if not cage.inside():
        pytest.skip("lab: run inside the cage: python -m tests.lab.cage -- python -m pytest")
    base = Path(tempfile.mkdtemp(prefix="lab-", dir="/tmp"))
    base.chmod(0o755)
    yield base
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="session")
def lab_host(lab_base: Path) -> Iterator[LabHost]:
    """The machine the tests run on, as a libvirt host of their own."""
    with LabHost(lab_base, "host") as host:
        yield host


@pytest.fixture
def connection(lab_host: LabHost) -> Iterator[HostConnection]:
    """The libvirt driver's connection to `lab_host`."""
    opened = load("libvirt").connect(lab_host.uri, timeout=20)
    yield opened
    opened.close()
    with closing(load("libvirt").connect(lab_host.uri, timeout=20)) as cleaner:  # the test may have broken its own
        remove_machines(cleaner)


def remove_machines(connection: HostConnection) -> None:
    """Power off and forget every machine on the host, several at a time: libvirt waits for each to be gone."""

    def remove(uuid: str) -> None:
        connection.power_off(uuid)
        try:
            connection.undefine(uuid)
        except NotFound:
            pass  # it was transient and went away with its power

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(remove, [seen.uuid for seen in connection.observe()]))


@pytest.fixture(scope="session")
def lab_of_three(lab_base: Path) -> Iterator[Lab]:
    with Lab(lab_base / "lab", 3) as lab:
        yield lab


@pytest.fixture
def lab_hosts(lab_of_three: Lab) -> Iterator[Lab]:
    """Three hosts with TLS between them and a directory that all see; clean before and after each test."""
    yield lab_of_three
    lab_of_three.repair()
    for host in lab_of_three.hosts.values():
        with closing(load("libvirt").connect(host.uri, timeout=20)) as cleaner:
            remove_machines(cleaner)
    for path in lab_of_three.shared.iterdir():
        path.unlink()


@pytest.fixture
def storage(lab_base: Path, lab_host: LabHost, connection: HostConnection) -> Iterator[StorageSpec]:
    """A place for volumes on `lab_host`; emptied after the test, when its machines are gone."""
    spec = StorageSpec(name="lab", kind="dir", path=str(lab_base / "disks"))
    connection.ensure_storage(spec)
    yield spec
    with closing(load("libvirt").connect(lab_host.uri, timeout=20)) as cleaner:
        remove_machines(cleaner)
        for volume in cleaner.volumes(spec):
            cleaner.delete_volume(spec, volume.name)


@pytest.fixture
def guest_disk(lab_base: Path, connection: HostConnection, storage: StorageSpec) -> VolumeInfo:
    """A qcow2 volume with the 512-byte guest (tests/lab/guest.py)."""
    image = lab_base / "images" / "guest.raw"
    if not image.exists():
        image.parent.mkdir(exist_ok=True)
        guest.write_image(image)
    source = VolumeInfo(name=image.name, path=str(image), format="raw", capacity=1 << 20, allocation=0)
    return connection.copy_volume(storage, "guest.qcow2", source=source)


@pytest.fixture
def make_machine(
    connection: HostConnection, storage: StorageSpec, guest_disk: VolumeInfo
) -> Callable[..., MachineSpec]:
    """Call it with fields of MachineSpec to define a machine on an overlay of the 512-byte guest."""

    def make(**fields: object) -> MachineSpec:
        name = str(fields.pop("name", f"vm-{uuid.uuid4().hex[:8]}"))
        disk = connection.create_volume(storage, f"{name}.qcow2", backing=guest_disk)
        wanted: dict[str, object] = {
            "uuid": str(uuid.uuid4()),
            "name": name,
            "vcpus": 1,
            "memory_mib": 32,
            "disks": (DiskSpec(path=disk.path, format="qcow2", target="vda"),),
            "mark": name,
        }
        spec = MachineSpec(**(wanted | fields))  # type: ignore[arg-type]
        connection.define(spec)
        return spec

    return make


@pytest.fixture(scope="session")
def tiny_image() -> Path:
    """A small Linux that boots to a serial console; built from Debian packages on first use."""
    return built_image("tiny")


@pytest.fixture(scope="session")
def server_image() -> Path:
    """Debian with cloud-init, an SSH server and the guest agent, which needs 384 MiB; built on first use."""
    return built_image("server")


@pytest.fixture(scope="session")
def host_image() -> Path:
    """A Debian host with libvirt, which needs 1 GiB; built on first use."""
    return built_image("host")


def built_image(name: str) -> Path:
    done = subprocess.run([str(ROOT / "deploy" / "image" / "ensure"), name], capture_output=True, text=True, check=True)
    return Path(done.stdout.strip().splitlines()[-1])


def wait_for_power(connection: HostConnection, machine: str, power: PowerState, *, timeout: float = 10) -> None:
    """Return when the machine is in this power state; AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while (seen := connection.observe_one(machine).power) is not power:
        assert time.monotonic() < deadline, f"{machine} is {seen}, not {power}"
        time.sleep(0.02)


def read_until(line: object, wanted: bytes, *, timeout: float = 10) -> bytes:
    """Read from a serial line until `wanted` came; return everything read."""
    deadline, data = time.monotonic() + timeout, b""
    while wanted not in data:
        assert time.monotonic() < deadline, f"{wanted!r} did not come, only {data!r}"
        data += line.read(0.5)  # type: ignore[attr-defined]
    return data
