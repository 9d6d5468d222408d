"""Disks of the other format: converted running and off, and what is done with a raw one afterwards."""

import pytest

from broker.access.actions.cancel_job import cancel_job
from broker.backups import deciding
from broker.backups.actions.back_up import back_up
from broker.backups.actions.create_target import create_target
from broker.backups.models import Backup
from broker.core.errors import Conflict, Invalid
from broker.events.models import Event
from broker.virt import specs
from broker.virt.actions.clone_vm import clone_vm
from broker.virt.actions.convert_disk import convert_disk
from broker.virt.actions.create_disk import create_disk
from broker.virt.actions.delete_snapshot import delete_snapshot
from broker.virt.actions.detach_disk import detach_disk
from broker.virt.actions.examine_disks import examine_disks
from broker.virt.actions.revert_snapshot import revert_snapshot
from broker.virt.actions.start_vm import start_vm
from broker.virt.actions.take_snapshot import take_snapshot
from broker.virt.driver import Refused, VolumeInfo
from broker.virt.models import FloatingDisk, Snapshot
from broker.virt.models.disk import image_format
from tests.virt.actions.stage import SYSTEM, done, ended, fresh


def convert(vm, kind):
    done(convert_disk(actor=SYSTEM, disk=vm.disks.get(target="vda"), image_format=kind))
    return vm.disks.get(target="vda")


def as_hosts_have_it(stage, vm, kind):
    """The row, the definition and the files agree, and nothing else is left."""
    disk = vm.disks.get()
    assert disk.format == kind and disk.volume.endswith(f".{kind}")
    assert stage.volumes() == {disk.volume}
    (seen,) = [one for one in stage.line.volumes(specs.storage_spec(disk.storage)) if one.name == disk.volume]
    assert (seen.format, seen.backing, seen.capacity) == (kind, "", disk.size_bytes)
    assert stage.line.chain(str(vm.pk), "vda")[0] == seen.path
    with stage.sim.changing() as data:
        (told,) = data["machines"][str(vm.pk)]["definition"]["disks"]
    assert (told["path"], told["format"]) == (seen.path, kind)


@pytest.mark.parametrize("start", [False, True])
def test_it_becomes_raw_and_qcow2_again(stage, start):
    vm = stage.make(start=start)
    convert(vm, "raw")
    as_hosts_have_it(stage, vm, "raw")
    assert Event.objects.get(kind="vm.disk-converted").message
    convert(vm, "qcow2")
    as_hosts_have_it(stage, vm, "qcow2")
    assert fresh(vm).power_state == ("running" if start else "off")


def test_one_that_fails_or_is_cancelled_leaves_the_disk_as_it_was(stage):
    vm = stage.make()
    before = vm.disks.get().volume
    stage.sim.fail_next("copy_volume", Refused("no", fix="-"))
    assert ended(convert_disk(actor=SYSTEM, disk=vm.disks.get(), image_format="raw")).state == "failed"
    job = convert_disk(actor=SYSTEM, disk=vm.disks.get(), image_format="raw")
    cancel_job(actor=SYSTEM, job=job)
    assert ended(job).state == "cancelled"
    assert vm.disks.get().volume == before and stage.volumes() == {before}


def test_what_cannot_be_is_refused_with_what_would_help(stage):
    vm = stage.make()
    with pytest.raises(Conflict) as refused:
        convert_disk(actor=SYSTEM, disk=vm.disks.get(), image_format="qcow2")
    assert refused.value.rule == "disk.format" and refused.value.fix
    for kind, most, field in (("vmdk", 0, "image_format"), ("raw", -1, "bandwidth_mib")):
        with pytest.raises(Invalid) as wrong:
            convert_disk(actor=SYSTEM, disk=vm.disks.get(), image_format=kind, bandwidth_mib=most)
        assert wrong.value.field == field
    done(take_snapshot(actor=SYSTEM, vm=fresh(vm), name="one"))
    with pytest.raises(Conflict) as refused:
        convert_disk(actor=SYSTEM, disk=vm.disks.get(), image_format="raw")
    assert refused.value.rule == "disk.unfrozen"


@pytest.mark.parametrize("start", [False, True])
def test_snapshots_lie_on_it_and_are_merged_back_into_it(stage, start):
    vm = stage.make(start=start)
    raw = convert(vm, "raw").volume
    done(take_snapshot(actor=SYSTEM, vm=fresh(vm), name="one"))
    assert vm.disks.get().format == "qcow2" and vm.disks.get().below == raw
    done(revert_snapshot(actor=SYSTEM, snapshot=Snapshot.objects.get(), start=start))
    copy = fresh(done(clone_vm(actor=SYSTEM, vm=fresh(vm), snapshot=Snapshot.objects.get(), name="copy")).subject_id)
    assert copy.disks.get().format == "qcow2"
    done(examine_disks(actor=SYSTEM, vm=fresh(vm)))
    assert not done(examine_disks(actor=SYSTEM, vm=fresh(vm))).args["findings"]
    done(delete_snapshot(actor=SYSTEM, snapshot=Snapshot.objects.get()))
    assert (vm.disks.get().format, vm.disks.get().volume) == ("raw", raw)
    if not start:
        done(start_vm(actor=SYSTEM, vm=fresh(vm)))


def test_its_first_bytes_are_never_believed():
    """A guest writes them: they may say that it lies on a file of the host, or is of any size."""
    seen = VolumeInfo("d.1.raw", "/d/d.1.raw", "qcow2", 1 << 60, 0, backing="/etc/passwd")
    told = specs.image_of("d", seen, 1 << 20)
    assert (told.format, told.capacity, told.backing) == ("raw", 1 << 20, "")
    assert specs.image_of("other", seen, 1 << 20) == seen, "what somebody else named is what it was looked at as"
    assert image_format("d", "d.1.qcow2") == "qcow2"


def test_backups_of_it_are_full_ones_and_say_why(stage):
    vm = stage.make(start=True)
    place = {"name": "nas", "path": "/sim/nas", "host": stage.world.host}
    target = create_target(actor=SYSTEM, cluster=stage.world.cluster, **place)
    convert(vm, "raw")
    for _ in range(2):
        job = done(back_up(actor=SYSTEM, vm=fresh(vm), target=target))
        backup = Backup.objects.get(pk=job.args["backup"])
        assert (backup.kind, backup.live, backup.reason) == ("full", True, deciding.RAW)


def test_taken_out_it_stays_what_it_is(stage):
    vm = stage.make()
    done(create_disk(actor=SYSTEM, vm=vm, size_bytes=1 << 20))
    done(convert_disk(actor=SYSTEM, disk=vm.disks.get(target="vdb"), image_format="raw"))
    done(detach_disk(actor=SYSTEM, disk=vm.disks.get(target="vdb")))
    assert (FloatingDisk.objects.get().format, FloatingDisk.objects.get().shared) == ("raw", False)
