"""Backups of a real machine that writes all the time: what comes back is what was there, to the byte."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from broker.backups.actions.back_up import back_up
from broker.backups.actions.create_target import create_target
from broker.backups.actions.restore_as_new import restore_as_new
from broker.backups.actions.restore_backup import restore_backup
from broker.backups.actions.verify_backup import verify_backup
from broker.backups.models import Backup
from broker.jobs.models import Job
from broker.virt import hosts
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.driver import PowerState
from tests.jobs_help import finish
from tests.lab import guest
from tests.lab.fixtures import read_until, wait_for_power
from tests.virt.actions.stage import SYSTEM, fresh
from tests.virt.plans.test_lab import Real

pytestmark = pytest.mark.lab


@pytest.fixture
def real(db, settings, connection, lab_host, lab_base):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    real = Real(lab_host.uri, lab_base, settings)
    real.target = create_target(
        actor=SYSTEM, cluster=real.world.cluster, name="nas", path=f"{real.disks}-backups", host=real.world.host
    )
    yield real
    real.line.remove_network(real.network.host_name)
    hosts.forget(real.world.host)


@pytest.fixture
def vm(real):
    vm = real.make("web", start=True)
    with real.line.serial(str(vm.pk)) as line:
        read_until(line, b"LAB-UP", timeout=60)
    return vm


def done(job: Job) -> Job:
    job = finish(job)
    assert job.state == "succeeded", f"{job.plan} {job.state}: {job.cause} {job.fix}"
    return job


def make(real, vm) -> Backup:
    job = done(back_up(actor=SYSTEM, vm=fresh(vm), target=real.target))
    return Backup.objects.get(pk=job.args["backup"])


def file_of(real, backup) -> Path:
    return Path(real.target.path) / backup.disks.get().volume


def same(one, other) -> bool:
    return subprocess.run(["qemu-img", "compare", "-q", "-U", str(one), str(other)], check=False).returncode == 0


def wait_until_it_wrote(path, ticks) -> None:
    deadline = time.monotonic() + 60
    while guest.counters(path).ticks <= ticks:
        assert time.monotonic() < deadline, "the guest writes no more"
        time.sleep(0.1)


def copy_of(disk, target) -> Path:
    subprocess.run(["qemu-img", "convert", "-U", "-O", "qcow2", str(disk), str(target)], check=True)
    return target


def test_full_write_incremental_delete_restore(real, vm, tmp_path):
    full = make(real, vm)
    assert (full.kind, full.live) == ("full", True)
    before = guest.counters(file_of(real, full)).ticks
    disk = Path(vm.disks.get().path)
    time.sleep(1)
    real.line.pause(str(vm.pk))  # what the incremental one must hold can now be read from outside
    more = make(real, vm)
    assert (more.kind, more.parent, more.reason) == ("incremental", full, "")
    reference = copy_of(disk, tmp_path / "reference.qcow2")
    assert guest.counters(reference).ticks > before
    assert same(reference, file_of(real, more)) and not same(reference, file_of(real, full))
    real.line.resume(str(vm.pk))
    done(verify_backup(actor=SYSTEM, backup=more))

    done(delete_vm(actor=SYSTEM, vm=fresh(vm)))
    job = done(restore_as_new(actor=SYSTEM, backup=more, storage=real.storage))
    again = fresh(job.subject_id)
    assert same(reference, again.disks.get().path)
    real.line.start(str(again.pk))
    with real.line.serial(str(again.pk)) as line:
        read_until(line, b"LAB-UP", timeout=60)
    # and in place, from the other end of the chain, with the machine running
    done(restore_backup(actor=SYSTEM, backup=_adopted(full, again), vm=fresh(again)))
    assert same(file_of(real, full), fresh(again).disks.get().path)

    # a byte that fell over is found
    path = file_of(real, full)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size - 700)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    assert finish(verify_backup(actor=SYSTEM, backup=more)).state == "failed"
    full.refresh_from_db()
    assert full.state == "broken"


def _adopted(backup, vm):
    """The backup as one of the machine that was made of it."""
    Backup.objects.filter(pk=backup.pk).update(vm=vm, vm_key=vm.pk)
    backup.refresh_from_db()
    return backup


def test_qemu_is_killed_in_the_middle(real, vm, monkeypatch):
    """Nothing half-made stays, and the next one is full because nobody knows any more what changed."""
    make(real, vm)
    files = set(Path(real.target.path).iterdir())
    job = back_up(actor=SYSTEM, vm=fresh(vm), target=real.target)
    line, looked = real.line, []

    def kill_and_look(uuid):
        if not looked:
            _kill(vm)
            wait_for_power(line, uuid, PowerState.CRASHED, timeout=30)
        looked.append(type(line).look_at_backup(line, uuid))
        return looked[-1]

    monkeypatch.setattr(line, "look_at_backup", kill_and_look)
    assert finish(job).state == "failed" and "stopped in the middle" in job.cause
    monkeypatch.undo()
    assert set(Path(real.target.path).iterdir()) == files and Backup.objects.count() == 1
    off = make(real, vm)
    assert (off.kind, off.live) == ("full", False) and same(file_of(real, off), vm.disks.get().path)
    real.line.start(str(vm.pk))
    again = make(real, vm)
    assert again.kind == "full" and "does not know what changed" in again.reason
    assert make(real, vm).kind == "incremental"
    _kill(vm)  # with no backup at work: the notes are there, but were never written to the end
    wait_for_power(real.line, str(vm.pk), PowerState.CRASHED, timeout=30)
    real.line.start(str(vm.pk))
    spoilt = make(real, vm)
    assert spoilt.kind == "full" and "not known any more" in spoilt.reason
    assert make(real, vm).kind == "incremental"


def _kill(vm) -> None:
    found = subprocess.run(["pgrep", "-f", f"uuid {vm.pk}"], capture_output=True, text=True, check=True).stdout
    for pid in found.split():
        os.kill(int(pid), signal.SIGKILL)
