"""Machines as OVAs, from a simulated host that gives bytes: made of each disk, and nothing left when they fail."""

import hashlib
import subprocess
from dataclasses import replace

import pytest

from broker.access.actions.cancel_job import cancel_job
from broker.core.errors import Busy, Conflict
from broker.jobs.plans import PLANS
from broker.virt import exports, ova, ova_pack
from broker.virt.actions.create_disk import create_disk
from broker.virt.actions.delete_snapshot import delete_snapshot
from broker.virt.actions.export_vm import export_vm
from broker.virt.actions.start_vm import start_vm
from broker.virt.driver import NoSpace
from broker.virt.models import Disk, DiskExport
from tests.virt.actions.stage import SYSTEM, done, ended, fresh
from tests.virt.plans.test_disks import MIB, snap


@pytest.fixture(autouse=True)
def bytes_of_volumes(stage, monkeypatch, settings, tmp_path):
    settings.DATA_DIR = tmp_path

    def fetch(self, storage, name, target, *, progress=lambda share: None):
        seen = self.volume(storage, name)
        assert seen.backing == ""
        self.meet("fetch_volume")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", target, str(seen.capacity)], check=True)
        progress(1.0)

    monkeypatch.setattr(type(stage.line), "fetch_volume", fetch)


def files():
    return sorted(path.name for path in exports.folder().iterdir())


def test_of_one_that_is_off_and_of_a_snapshot_of_one_that_runs(stage, tmp_path):
    vm = stage.make()
    done(create_disk(actor=SYSTEM, vm=vm, size_bytes=5 * MIB))
    one = snap(vm, "before update")
    before = stage.volumes()
    job = done(export_vm(actor=SYSTEM, vm=fresh(vm)))
    export = DiskExport.objects.get(pk=job.args["export"])
    path = exports.path_of(export.pk)
    assert (export.name, export.size_bytes) == ("desk-1.ova", path.stat().st_size)
    assert export.ready_at and export.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    told = ova.take_disk(path, tmp_path / "inner", lambda share: None, number=1)
    assert (told["vcpus"], told["memory_mib"], told["disks"]) == (vm.vcpus, vm.memory_mib, 2)
    assert files() == [str(export.pk)] and stage.volumes() == before
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    with pytest.raises(Conflict) as refusal:
        export_vm(actor=SYSTEM, vm=fresh(vm))
    assert "snapshot" in refusal.value.fix
    done(export_vm(actor=SYSTEM, vm=fresh(vm), snapshot=one))
    assert DiskExport.objects.filter(name="desk-1-before_update.ova", ready_at__isnull=False).exists()
    assert stage.volumes() == before and stage.machines() == {"desk-1": "running"}


def test_meanwhile_the_machine_stays_off_and_its_snapshots_whole(stage):
    vm = stage.make()
    one = snap(vm, "one")
    job = export_vm(actor=SYSTEM, vm=fresh(vm), snapshot=one)
    for action, wish in ((start_vm, {"vm": fresh(vm)}), (delete_snapshot, {"snapshot": one})):
        with pytest.raises(Busy):
            action(actor=SYSTEM, **wish)
    exports.tidy()
    done(job)


def test_started_meanwhile_or_without_room_it_leaves_nothing(stage, monkeypatch):
    vm = stage.make()
    done(create_disk(actor=SYSTEM, vm=vm, size_bytes=MIB))
    before, vm = stage.volumes(), fresh(vm)
    job = export_vm(actor=SYSTEM, vm=vm)
    stage.line.start(str(vm.pk))
    assert ended(job).error["rule"] == "export.still"
    stage.line.power_off(str(vm.pk))
    for verb in ("copy_volume", "fetch_volume"):
        stage.sim.fail_next(verb, NoSpace("full"))
        assert ended(export_vm(actor=SYSTEM, vm=vm)).state == "failed"

    def full(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(PLANS._items, "vm.export", replace(PLANS.get("vm.export"), patience=0.0))
    for part in ("to_vmdk", "pack"):
        with monkeypatch.context() as patched:
            patched.setattr(ova_pack, part, full)
            job = ended(export_vm(actor=SYSTEM, vm=vm))
            assert (job.state, job.error["rule"]) == ("failed", "export.space")
    assert not DiskExport.objects.exists() and files() == [] and stage.volumes() == before


def test_cancelled_while_a_disk_is_written_it_leaves_nothing(stage, monkeypatch):
    vm = stage.make()
    done(create_disk(actor=SYSTEM, vm=vm, size_bytes=MIB))
    job, real, seen = export_vm(actor=SYSTEM, vm=fresh(vm)), ova_pack.to_vmdk, []

    def cancelled(source, target, name, tick):
        seen.append(name)
        if len(seen) == 2:
            cancel_job(actor=SYSTEM, job=job)
        return real(source, target, name, tick)

    monkeypatch.setattr(ova_pack, "to_vmdk", cancelled)
    assert ended(job).state == "cancelled"
    assert seen == ["desk-1-disk1.vmdk", "desk-1-disk2.vmdk"]
    assert not DiskExport.objects.exists() and files() == []


def test_more_disks_than_an_appliance_has_are_refused(stage):
    vm = stage.make()
    storage = vm.disks.get().storage
    for number in range(1, ova.MOST_DISKS + 1):
        Disk.objects.create(vm=vm, storage=storage, volume=f"x{number}", target=f"x{number}", order=number)
    with pytest.raises(Conflict) as refusal:
        export_vm(actor=SYSTEM, vm=fresh(vm))
    assert refusal.value.rule == "export.disks" and not DiskExport.objects.exists()
