"""An NFS share as storage: libvirt mounts it, disks lie on it, machines run from it; all but the client is real."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from broker.virt.driver import DiskSpec, MachineSpec, NotFound, PowerState, StorageSpec, VolumeInfo
from broker.virt.drivers import load
from broker.virt.drivers.libvirt.pool_xml import pool_xml, told_options
from tests.lab import guest
from tests.lab.fixtures import wait_for_power
from tests.lab.lab import Lab
from tests.lab.share import share


@pytest.fixture
def mounted(lab_base: Path):
    """A host of its own, the share as the driver is told of it, what is on the server, and how it was mounted."""
    exported = lab_base / "exported"
    with Lab(lab_base / "nas", 1) as lab:
        host = lab.hosts["lab-a"]
        calls = share([host], exported, lab_base / "tools")
        spec = StorageSpec(
            name="nas", kind="nfs", path=str(lab_base / "mnt"), server="192.0.2.10", export="/export/vms", version="4"
        )
        with closing(load("libvirt").connect(host.uri, timeout=20)) as connection:
            yield connection, spec, exported, calls


@pytest.mark.lab
def test_a_machine_runs_from_a_share(mounted, lab_base):
    connection, spec, exported, calls = mounted
    with pytest.raises(NotFound):
        connection.storage(spec)
    connection.ensure_storage(spec)
    connection.ensure_storage(spec)
    (call,) = calls.read_text().splitlines()
    assert call.startswith(f"192.0.2.10:/export/vms {spec.path} ")
    assert {"soft", "timeo=100", "retrans=3", "nfsvers=4"} <= set(call.partition("-o ")[2].split(","))
    spec = replace(spec, mount=("soft", "timeo=50", "retrans=2", "port=2049"))
    connection.ensure_storage(spec)  # mounted anew, as it is wanted now
    connection.ensure_storage(spec)
    _, call = calls.read_text().splitlines()
    assert {"soft", "timeo=50", "retrans=2", "port=2049"} <= set(call.partition("-o ")[2].split(","))
    image = lab_base / "images" / "share.raw"
    image.parent.mkdir(exist_ok=True)
    guest.write_image(image)
    source = VolumeInfo(name=image.name, path=str(image), format="raw", capacity=1 << 20, allocation=0)
    disk = connection.copy_volume(spec, "web.qcow2", source=source)
    assert (exported / "web.qcow2").read_bytes()[:4] == b"QFI\xfb" and disk.path == f"{spec.path}/web.qcow2"
    machine = MachineSpec(
        uuid="5f0f9a52-9d0e-4f52-8f3b-6c7b1f6f0001", name="web", vcpus=1, memory_mib=32, mark="web",
        disks=(DiskSpec(path=disk.path, format="qcow2", target="vda"),),
    )  # fmt: skip
    connection.define(machine)
    connection.start(machine.uuid)
    wait_for_power(connection, machine.uuid, PowerState.RUNNING)
    with connection.serial(machine.uuid) as line:
        data = b""
        while b"LAB-UP" not in data:
            data += line.read(5.0)


def test_what_a_share_is_told_to_libvirt():
    xml = pool_xml(StorageSpec(name="nas", kind="nfs", path="/mnt/x", server="nas", export="/e", version="4.1"))
    assert "<pool" in xml and 'type="netfs"' in xml and '<protocol ver="4.1"/>' in xml
    assert '<host name="nas"/><dir path="/e"/><format type="nfs"/>' in xml
    assert told_options(xml) == ("soft", "timeo=100", "retrans=3", "nosharecache")
    other = StorageSpec(name="n", kind="nfs", path="/mnt/x", server="nas", export="/e", mount=("hard", "port=2050"))
    assert told_options(pool_xml(other)) == ("hard", "port=2050", "nosharecache")
    assert "protocol" not in pool_xml(StorageSpec(name="n", kind="nfs", path="/mnt/x", server="nas", export="/e"))
