"""Machines on LUNs: libvirt and QEMU with a real target."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest

from broker.virt.driver import DiskSpec, Locked, MachineSpec, MigrationOrder, NoSpace, PowerState, VolumeInfo
from broker.virt.drivers import load
from tests.lab import guest
from tests.lab.fixtures import wait_for_power
from tests.virt.iscsi.wait import until

pytestmark = pytest.mark.lab
MIB = 1 << 20


def test_several_workers_have_the_host_see_a_target_at_once(site, lab_hosts):
    """Each might take what another has just made for what an attempt left that was cut short."""
    here, _, _, luns, _, _ = site
    first = next(iter(lab_hosts.hosts.values()))
    with ExitStack() as stack, ThreadPoolExecutor(6) as workers:
        lines = [stack.enter_context(closing(load("libvirt").connect(first.uri, timeout=20))) for _ in range(6)]
        for _ in range(3):
            assert set(workers.map(lambda line: _seen(line, luns).capacity, lines)) == {84 * MIB}
            here.release_storage(luns)


def _seen(line, luns):
    """As a job does it: whoever finds the table reserved by another comes again."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return line.ensure_storage(luns)
        except Locked:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_a_machine_moves_its_disk_onto_a_lun_and_runs_on_to_another_host(site, tmp_path):
    here, there, second, luns, files, target = site
    for line in (here, there):
        info = line.ensure_storage(luns)
        line.ensure_storage(files)
    assert (info.capacity, info.allocation) == (84 * MIB, 0)
    image = tmp_path / "guest.raw"
    guest.write_image(image)
    source = VolumeInfo(name=image.name, path=str(image), format="raw", capacity=MIB, allocation=0)
    disk = here.copy_volume(files, "web.qcow2", source=source)
    machine = MachineSpec(
        uuid=str(uuid.uuid4()), name="web", vcpus=1, memory_mib=32, mark="web",
        disks=(DiskSpec(path=disk.path, format="qcow2", target="vda"),),
    )  # fmt: skip
    here.define(machine)
    here.start(machine.uuid)
    wait_for_power(here, machine.uuid, PowerState.RUNNING)

    copy = here.create_volume(luns, "web.1.qcow2", capacity=disk.capacity)
    assert copy == here.create_volume(luns, "web.1.qcow2", capacity=disk.capacity) == here.volume(luns, "web.1.qcow2")
    until(lambda: here.mirror_disk(machine.uuid, "vda", copy.path) == 1.0)
    until(lambda: here.pivot_disk(machine.uuid, "vda", copy.path))
    assert here.chain(machine.uuid, "vda") == (copy.path,)
    more = here.create_volume(luns, "more.qcow2", capacity=40 * MIB)
    plugged = DiskSpec(path=more.path, format="qcow2", target="vdb")
    here.attach_disk(machine.uuid, plugged)
    here.define(MachineSpec(**{**_fields(machine), "disks": (DiskSpec(copy.path, "qcow2", "vda"), plugged)}))
    assert target.password not in here.definition(machine.uuid)
    with pytest.raises(NoSpace, match="no free LUN"):
        here.create_volume(luns, "third.qcow2", capacity=MIB)

    here.begin_migration(machine.uuid, MigrationOrder(uri=second.tcp_uri, seen_alike=False))
    until(lambda: there.observe_one(machine.uuid).power is PowerState.RUNNING and here.migration(machine.uuid) is None)
    there.finish_migration(machine.uuid)
    assert there.chain(machine.uuid, "vda") == (copy.path,)
    there.power_off(machine.uuid)
    there.start(machine.uuid)  # from what is on the LUN now
    with there.serial(machine.uuid) as line:
        data = b""
        while b"LAB-UP" not in data:
            data += line.read(5.0)
    there.power_off(machine.uuid)
    for name in ("web.1.qcow2", "more.qcow2"):
        there.delete_volume(luns, name)
    assert there.volumes(luns) == () and not any(target.path(2).read_bytes()[:65536])
    there.write_note(luns, 1, b"whose it is")
    assert here.read_notes(luns) == (b"whose it is",)


def _fields(spec: MachineSpec) -> dict[str, object]:
    return {name: getattr(spec, name) for name in MachineSpec.__slots__}
