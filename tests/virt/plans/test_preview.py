"""A machine looks at a snapshot on the simulated host, and keeps that state or goes back; both lose nothing else."""

import pytest

from broker.core.errors import Conflict
from broker.virt.actions.commit_preview import commit_preview
from broker.virt.actions.delete_snapshot import delete_snapshot
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.examine_disks import examine_disks
from broker.virt.actions.grow_disk import grow_disk
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.preview_snapshot import preview_snapshot
from broker.virt.actions.start_vm import start_vm
from broker.virt.actions.take_snapshot import take_snapshot
from broker.virt.actions.tidy_storage import tidy_storage
from broker.virt.actions.undo_preview import undo_preview
from broker.virt.driver import Refused
from broker.virt.models import Disk, Preview, Snapshot
from tests.virt.actions.stage import SYSTEM, done, ended, fresh
from tests.virt.plans.test_disks import MIB, agree, snap


@pytest.fixture
def looking(stage):
    """Off, with the snapshots one and two, looking at one; and the volume it had before."""
    vm = stage.make()
    one = snap(vm, "one")
    done(grow_disk(actor=SYSTEM, disk=vm.disks.get(), size_bytes=vm.disks.get().size_bytes + MIB))
    snap(vm, "two")
    before = vm.disks.get()
    done(preview_snapshot(actor=SYSTEM, snapshot=one, start=True))
    return vm, one, before


def test_it_looks_and_goes_back(stage, looking):
    vm, one, before = looking
    disk = vm.disks.get()
    assert stage.machines() == {"desk-1": "running"}
    assert disk.below == one.disks.get().volume and disk.size_bytes == one.disks.get().size_bytes
    assert vm.snapshots.get(current=True) == one
    assert before.volume in stage.volumes()
    done(undo_preview(actor=SYSTEM, vm=fresh(vm)))
    after = vm.disks.get()
    assert (after.volume, after.below, after.size_bytes) == (before.volume, before.below, before.size_bytes)
    assert vm.snapshots.get(current=True).name == "two" and stage.machines() == {"desk-1": "off"}
    agree(stage, vm)
    snap(vm, "three")  # whose image has a name of its own
    agree(stage, vm)


def test_it_looks_and_keeps_that_while_it_runs(stage, looking):
    vm, _one, before = looking
    tried = vm.disks.get().volume
    done(commit_preview(actor=SYSTEM, vm=fresh(vm)))
    assert vm.disks.get().volume == tried and stage.machines() == {"desk-1": "running"}
    assert before.volume not in stage.volumes() and not Preview.objects.exists()
    agree(stage, vm)


def test_meanwhile_nothing_else_becomes_of_its_disks(stage, looking):
    vm, one, _before = looking
    for action, wish in (
        (take_snapshot, {"vm": fresh(vm), "name": "x"}),
        (delete_snapshot, {"snapshot": one}),
        (preview_snapshot, {"snapshot": one}),
        (grow_disk, {"disk": vm.disks.get(), "size_bytes": 9 << 30}),
    ):
        with pytest.raises(Conflict):
            action(actor=SYSTEM, **wish)
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    assert done(examine_disks(actor=SYSTEM, vm=fresh(vm))).args["findings"] == []
    assert done(tidy_storage(actor=SYSTEM, storage=stage.world.storage)).args["found"] == []
    done(delete_vm(actor=SYSTEM, vm=fresh(vm)))
    assert stage.volumes() == set()


def test_one_that_runs_or_was_started_meanwhile_loses_nothing(stage):
    vm = stage.make()
    one = snap(vm, "one")
    before = vm.disks.get().volume
    job = preview_snapshot(actor=SYSTEM, snapshot=one)
    stage.line.start(str(vm.pk))
    assert ended(job).error["rule"] == "power.off"
    assert stage.machines() == {"desk-1": "running"} and vm.disks.get().volume == before
    with pytest.raises(Conflict):
        preview_snapshot(actor=SYSTEM, snapshot=Snapshot.objects.get(pk=one.pk))
    with pytest.raises(Conflict):
        undo_preview(actor=SYSTEM, vm=fresh(vm))
    agree(stage, vm)


def test_memory_is_woken_or_not_and_what_cannot_be_woken_is_as_before(stage):
    vm = stage.make(start=True)
    kept = snap(vm, "kept", memory=True)
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    before = vm.disks.get().volume
    kept.vm.refresh_from_db()
    stage.sim.fail_next("wake_from", Refused("no"))
    assert ended(preview_snapshot(actor=SYSTEM, snapshot=kept, memory=True)).state == "failed"
    assert not Preview.objects.exists() and vm.disks.get().volume == before
    agree(stage, vm)
    for memory, power in ((True, "running"), (False, "off")):
        done(preview_snapshot(actor=SYSTEM, snapshot=kept, memory=memory))
        assert stage.machines() == {"desk-1": power}
        done(undo_preview(actor=SYSTEM, vm=fresh(vm)))
        agree(stage, vm)


def test_a_host_that_fails_in_the_middle_of_going_back_leaves_a_whole_machine(stage, looking):
    vm, _one, before = looking
    stage.sim.fail_next("define", Refused("no"))
    assert ended(undo_preview(actor=SYSTEM, vm=fresh(vm))).state == "failed"
    assert vm.disks.get().volume == before.volume and not Preview.objects.exists()
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    assert stage.line.chain(str(vm.pk), "vda")[0] == Disk.objects.get(vm=vm).path
