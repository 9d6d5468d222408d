"""Disks as files to be downloaded, from a simulated host that gives bytes: made, sent in ranges, gone after a day."""

import hashlib
from datetime import timedelta

import pytest

from broker.core import clock
from broker.core.errors import Busy, Conflict, Unavailable
from broker.events.models import Event
from broker.virt import exports
from broker.virt.actions.create_disk import create_disk
from broker.virt.actions.delete_export import delete_export
from broker.virt.actions.delete_snapshot import delete_snapshot
from broker.virt.actions.download_export import download_export
from broker.virt.actions.export_disk import export_disk
from broker.virt.actions.start_vm import start_vm
from broker.virt.actions.tidy_storage import tidy_storage
from broker.virt.driver import NoSpace
from broker.virt.models import DiskExport
from tests.virt.actions.stage import SYSTEM, done, ended, fresh
from tests.virt.plans.test_disks import MIB, snap

BYTES = bytes(range(256)) * 20


@pytest.fixture(autouse=True)
def bytes_of_volumes(stage, monkeypatch, settings, tmp_path):
    settings.DATA_DIR = tmp_path

    def fetch(self, storage, name, target, *, progress=lambda share: None):
        assert self.volume(storage, name).backing == ""
        self.meet("fetch_volume")
        target.write_bytes(BYTES)
        progress(1.0)

    monkeypatch.setattr(type(stage.line), "fetch_volume", fetch)


def test_of_one_that_is_off_and_of_a_snapshot_of_one_that_runs(stage):
    vm = stage.make()
    one = snap(vm, "before update")
    job = done(export_disk(actor=SYSTEM, disk=vm.disks.get()))
    export = DiskExport.objects.get(pk=job.args["export"])
    assert (export.size_bytes, export.sha256) == (len(BYTES), hashlib.sha256(BYTES).hexdigest())
    assert exports.path_of(export.pk).stat().st_mode & 0o077 == 0 or exports.folder().stat().st_mode & 0o077 == 0
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    disk = vm.disks.select_related("vm").get()
    with pytest.raises(Conflict) as refusal:
        export_disk(actor=SYSTEM, disk=disk)
    assert "snapshot" in refusal.value.fix
    done(export_disk(actor=SYSTEM, disk=disk, snapshot=one))
    assert DiskExport.objects.filter(name="desk-1-vda-before_update.qcow2").exists()
    assert stage.volumes() == {disk.volume, disk.below}
    assert stage.machines() == {"desk-1": "running"}


def test_meanwhile_the_machine_stays_off_and_its_snapshots_whole(stage):
    vm = stage.make()
    one = snap(vm, "one")
    job = export_disk(actor=SYSTEM, disk=vm.disks.get(), snapshot=one)
    export = DiskExport.objects.get()
    for action, wish in (
        (start_vm, {"vm": fresh(vm)}), (delete_snapshot, {"snapshot": one}), (delete_export, {"export": export}),
        (download_export, {"export": export}),
    ):  # fmt: skip
        with pytest.raises(Busy):
            action(actor=SYSTEM, **wish)
    done(job)


def test_started_meanwhile_or_without_room_it_leaves_nothing(stage):
    vm = stage.make()
    job = export_disk(actor=SYSTEM, disk=vm.disks.get())
    stage.line.start(str(vm.pk))
    assert ended(job).error["rule"] == "export.still"
    stage.line.power_off(str(vm.pk))
    for verb in ("copy_volume", "fetch_volume"):
        stage.sim.fail_next(verb, NoSpace("full"))
        assert ended(export_disk(actor=SYSTEM, disk=vm.disks.get())).state == "failed"
    assert not DiskExport.objects.exists() and list(exports.folder().iterdir()) == []
    assert stage.volumes() == {vm.disks.get().volume}


def test_downloads_become_events_and_lost_files_are_told(stage):
    vm = stage.make()
    done(export_disk(actor=SYSTEM, disk=vm.disks.get()))
    export = DiskExport.objects.get()
    with download_export(actor=SYSTEM, export=export) as file:
        assert file.read() == BYTES
    with download_export(actor=SYSTEM, export=export, first=False) as file:
        assert file.read(3) == BYTES[:3]
    assert Event.objects.filter(kind="vm.export.downloaded").count() == 1
    exports.path_of(export.pk).unlink()
    with pytest.raises(Unavailable):
        download_export(actor=SYSTEM, export=export)


def test_after_a_day_and_when_deleted_the_file_is_gone(stage, django_capture_on_commit_callbacks):
    vm = stage.make()
    done(create_disk(actor=SYSTEM, vm=vm, size_bytes=MIB))
    for disk in vm.disks.all():
        done(export_disk(actor=SYSTEM, disk=disk))
    old, new = DiskExport.objects.all()
    DiskExport.objects.filter(pk=old.pk).update(ready_at=clock.now() - timedelta(days=2))
    (exports.folder() / "00000000-0000-0000-0000-000000000000.part").write_bytes(b"x")
    exports.tidy()
    assert [path.name for path in exports.folder().iterdir()] == [str(new.pk)]
    with django_capture_on_commit_callbacks(execute=True):
        delete_export(actor=SYSTEM, export=new)
    assert list(exports.folder().iterdir()) == [] and not DiskExport.objects.exists()
    assert done(tidy_storage(actor=SYSTEM, storage=stage.world.storage)).args["found"] == []
