"""Disks of a real machine move between storages while its guest writes, and what it wrote is all there."""

import hashlib
import json
import struct
import subprocess
import time
from pathlib import Path

import libvirt
import pytest

from broker.access.actions.cancel_job import cancel_job
from broker.jobs.runner import Runner
from broker.virt.actions.convert_disk import convert_disk
from broker.virt.actions.create_disk import create_disk
from broker.virt.actions.create_storage import create_storage
from broker.virt.actions.delete_snapshot import delete_snapshot
from broker.virt.actions.examine_disks import examine_disks
from broker.virt.actions.grow_disk import grow_disk
from broker.virt.actions.move_disks import move_disks
from broker.virt.actions.pace_move import pace_move
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.revert_snapshot import revert_snapshot
from broker.virt.actions.take_snapshot import take_snapshot
from broker.virt.drivers.libvirt.domain_xml.machine import Machine
from tests.jobs_help import finish
from tests.virt.actions.stage import SYSTEM, done, fresh
from tests.virt.plans.test_disks_lab import chain, well
from tests.virt.plans.test_lab import lab_up, real  # noqa: F401 - a fixture

pytestmark = pytest.mark.lab
PATTERN = bytes(range(256)) * 4096  # what lies on the second disk, 1 MiB


def test_a_writing_machine_moves_there_and_back(real):  # noqa: F811
    folder = Path(f"{real.disks}-other")
    other = create_storage(actor=SYSTEM, cluster=real.world.cluster, name="other", path=str(folder))
    vm, before = writing(real, "mover")
    counted = written(real, vm)
    # cancelled under a limit that it cannot keep: all stays, nothing is left there
    job = move_disks(actor=SYSTEM, vm=fresh(vm), storage=other, bandwidth_mib=1)
    Runner().run(job.pk)
    assert len(list(folder.iterdir())) == 2
    pace_move(actor=SYSTEM, vm=fresh(vm), paused=True)
    Runner().run(job.pk)
    with real.line.calling():
        told = real.line.domain(str(vm.pk)).blockJobInfo("vdb", libvirt.VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES)
    assert told["bandwidth"] == 1
    cancel_job(actor=SYSTEM, job=job)
    assert finish(job).state == "cancelled"
    assert list(folder.glob("*.qcow2")) == [] and len(real.files()) == 2
    well(move_disks(actor=SYSTEM, vm=fresh(vm), storage=other))
    assert real.files() == set()
    for disk in vm.disks.all():
        assert Path(disk.path).parent == folder and chain(disk.path) == [disk.volume]
        assert real.line.chain(str(vm.pk), disk.target) == (disk.path,)
    lab_up(real, vm)
    deadline = time.monotonic() + 60
    while written(real, vm) <= counted:  # it goes on counting there, in the same run
        assert time.monotonic() < deadline
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    assert contents(vm.disks.get(target="vdb").path) == before
    first = vm.disks.get(target="vda")
    subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", first.path], check=True)
    one = contents(first.path)
    well(move_disks(actor=SYSTEM, vm=fresh(vm), storage=real.storage))  # off: as files
    first.refresh_from_db()
    assert contents(first.path) == one and contents(vm.disks.get(target="vdb").path) == before
    assert list(folder.glob("*.qcow2")) == []


def test_a_writing_machine_gets_the_other_format_and_what_its_guest_says_of_it_is_bytes(real):  # noqa: F811
    """Row S27, too: the header of an image that names a file of the host, written by the guest onto its raw disk."""
    vm, before = writing(real, "convert", linked=False)
    counted = written(real, vm)
    for disk in vm.disks.all():
        well(convert_disk(actor=SYSTEM, disk=disk, image_format="raw"))
        disk.refresh_from_db()
        told = next(one for one in Machine.parse(real.line.definition(str(vm.pk))).disks if one.target == disk.target)
        assert (disk.format, told.format, told.path) == ("raw", "raw", disk.path)
    assert real.files() == {disk.volume for disk in vm.disks.all()}
    first, extra = vm.disks.order_by("target")
    deadline = time.monotonic() + 60
    while written(real, vm) <= counted:  # it goes on counting, in the same run
        assert time.monotonic() < deadline
    well(take_snapshot(actor=SYSTEM, vm=fresh(vm), name="one", memory=True))
    assert chain(vm.disks.get(target="vda").path) == [vm.disks.get(target="vda").volume, first.volume]
    well(revert_snapshot(actor=SYSTEM, snapshot=vm.snapshots.get()))
    lab_up(real, vm)
    well(delete_snapshot(actor=SYSTEM, snapshot=vm.snapshots.get()))
    assert vm.disks.get(target="vda").volume == first.volume
    job = examine_disks(actor=SYSTEM, vm=fresh(vm))
    well(job)
    assert job.args["findings"] == []
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    assert contents(extra.path, "raw") == before
    evil = real.disks.parent / "evil.qcow2"
    asked = ["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-F", "raw", "-b", "/etc/passwd", str(evil), "900M"]
    subprocess.run(asked, check=True)
    with open(extra.path, "r+b") as image:
        image.write(evil.read_bytes()[:65536])
    marked = contents(extra.path, "raw")
    for verb, wish in ((convert_disk, {"image_format": "qcow2"}), (grow_disk, {"size_bytes": 128 << 20})):
        job = finish(verb(actor=SYSTEM, disk=vm.disks.get(target="vdb"), **wish))
        assert job.state == "failed" and "look like another kind of image" in job.cause
    well(take_snapshot(actor=SYSTEM, vm=fresh(vm), name="two"))
    over = vm.disks.get(target="vdb").path
    asked = ["qemu-img", "info", "--output=json", over]
    info = json.loads(subprocess.run(asked, check=True, capture_output=True).stdout)
    assert (info["backing-filename-format"], info["virtual-size"]) == ("raw", 64 << 20)
    assert contents(over) == marked
    real.line.start(str(vm.pk))
    lab_up(real, vm)
    well(delete_snapshot(actor=SYSTEM, snapshot=vm.snapshots.get()))
    for disk in vm.disks.all():  # while it runs QEMU reads what it was told to, whatever stands there
        well(convert_disk(actor=SYSTEM, disk=disk, image_format="qcow2"))
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    assert contents(vm.disks.get(target="vdb").path) == marked
    assert real.files() == {disk.volume for disk in vm.disks.all()}


def writing(real, name: str, **wish):  # noqa: F811
    """A machine whose guest writes on its disk, and the digest of what lies on its second one."""
    vm = real.make(name, **wish)
    well(create_disk(actor=SYSTEM, vm=fresh(vm), size_bytes=64 << 20))
    extra = vm.disks.get(target="vdb")
    path = extra.path or f"{real.disks}/{extra.volume}"
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 0x5a 1M 40M", path], check=True, capture_output=True)
    before = contents(path)
    real.line.start(str(vm.pk))
    lab_up(real, vm)
    return vm, before


def contents(path, image_format="qcow2") -> str:
    """A digest of what a guest reads there."""
    raw = Path(f"{path}.plain")
    asked = ["qemu-img", "convert", "-f", image_format, "-O", "raw", str(path), str(raw)]
    subprocess.run(asked, check=True, capture_output=True)
    try:
        return hashlib.sha256(raw.read_bytes()).hexdigest()
    finally:
        raw.unlink()


def written(real, vm) -> int:  # noqa: F811
    """How far the guest's count on its disk is, in its first run; waits until it has begun to count."""
    deadline = time.monotonic() + 60
    while (counted := counters(real, vm))[0] == 0:
        assert time.monotonic() < deadline, "the guest does not write"
    assert counted[0] == 1
    return counted[1]


def counters(real, vm) -> tuple[int, int]:  # noqa: F811
    """How often its disk was booted, and the ticks of this run; QEMU flushes when it is paused."""
    disk = vm.disks.get(target="vda")
    path = Path(disk.path or f"{real.disks}/{disk.volume}")
    target = path.with_suffix(".look")
    how = ["qemu-img", "dd", "-U", "-f", disk.format, "-O", "raw", "bs=512", "count=2"]
    real.line.pause(str(vm.pk))
    try:
        subprocess.run([*how, f"if={path}", f"of={target}"], check=True, capture_output=True)
        data = target.read_bytes()
        target.unlink()
    finally:
        real.line.resume(str(vm.pk))
    boots, ticks = struct.unpack_from("<II", data, 512)
    return boots, ticks
