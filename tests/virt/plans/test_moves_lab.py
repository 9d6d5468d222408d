"""Disks of a real machine move between storages while its guest writes, and what it wrote is all there."""

import hashlib
import struct
import subprocess
import time
from pathlib import Path

import pytest

from broker.access.actions.cancel_job import cancel_job
from broker.jobs.runner import Runner
from broker.virt.actions.create_disk import create_disk
from broker.virt.actions.create_storage import create_storage
from broker.virt.actions.move_disks import move_disks
from broker.virt.actions.power_off_vm import power_off_vm
from tests.jobs_help import finish
from tests.virt.actions.stage import SYSTEM, done, fresh
from tests.virt.plans.test_disks_lab import chain, well
from tests.virt.plans.test_lab import lab_up, real  # noqa: F401 - a fixture

pytestmark = pytest.mark.lab
PATTERN = bytes(range(256)) * 4096  # what lies on the second disk, 1 MiB


def test_a_writing_machine_moves_there_and_back(real):  # noqa: F811
    folder = Path(f"{real.disks}-other")
    other = create_storage(actor=SYSTEM, cluster=real.world.cluster, name="other", path=str(folder))
    vm = real.make("mover")
    well(create_disk(actor=SYSTEM, vm=fresh(vm), size_bytes=64 << 20))
    extra = vm.disks.get(target="vdb")
    path = extra.path or f"{real.disks}/{extra.volume}"
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 0x5a 1M 40M", path], check=True, capture_output=True)
    before = contents(path)
    real.line.start(str(vm.pk))
    lab_up(real, vm)
    counted = written(real, vm)
    # cancelled under a limit that it cannot keep: all stays, nothing is left there
    job = move_disks(actor=SYSTEM, vm=fresh(vm), storage=other, bandwidth_mib=1)
    Runner().run(job.pk)
    assert len(list(folder.iterdir())) == 2
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


def contents(path) -> str:
    """A digest of what a guest reads there."""
    raw = Path(f"{path}.raw")
    asked = ["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(path), str(raw)]
    subprocess.run(asked, check=True, capture_output=True)
    try:
        return hashlib.sha256(raw.read_bytes()).hexdigest()
    finally:
        raw.unlink()


def written(real, vm) -> int:  # noqa: F811
    """How far the guest's count on its disk is; QEMU flushes when it is paused."""
    disk = vm.disks.get(target="vda")
    path = Path(disk.path or f"{real.disks}/{disk.volume}")
    real.line.pause(str(vm.pk))
    try:
        target = path.with_suffix(".look")
        asked = ["qemu-img", "dd", "-U", "-f", "qcow2", "-O", "raw", "bs=512", "count=2", f"if={path}", f"of={target}"]
        subprocess.run(asked, check=True, capture_output=True)
        data = target.read_bytes()
        target.unlink()
    finally:
        real.line.resume(str(vm.pk))
    boots, ticks = struct.unpack_from("<II", data, 512)
    assert boots == 1
    return ticks
