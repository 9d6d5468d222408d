"""A machine goes and its disks stay, on the simulated host."""

import pytest

from broker.core.errors import Conflict, Denied
from broker.virt.actions.attach_disk import attach_disk
from broker.virt.actions.clone_vm import clone_vm
from broker.virt.actions.create_disk import create_disk
from broker.virt.actions.delete_snapshot import delete_snapshot
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.edit_disk import edit_disk
from broker.virt.actions.edit_vm import edit_vm
from broker.virt.actions.move_disks import move_disks
from broker.virt.actions.take_snapshot import take_snapshot
from broker.virt.actions.tidy_storage import tidy_storage
from broker.virt.driver import Refused
from broker.virt.models import FloatingDisk, StorageDomain, VirtualMachine
from broker.virt.specs import storage_spec
from broker.virt.states import VmState
from tests.virt.actions.stage import SYSTEM, done, ended, fresh
from tests.virt.plans.test_disks import MIB, defined


@pytest.fixture
def vm(stage):
    """A machine that lies on no template, with two disks; it runs."""
    vm = stage.make(linked=False, start=True)
    done(create_disk(actor=SYSTEM, vm=vm, size_bytes=3 * MIB))
    return fresh(vm)


def test_all_its_disks_become_disks_of_no_machine(stage, vm):
    edit_disk(actor=SYSTEM, disk=vm.disks.get(target="vdb"), wipe_after_delete="on")
    before = {disk.pk: (disk.volume, disk.size_bytes, disk.wipe_after_delete) for disk in vm.disks.all()}
    done(delete_vm(actor=SYSTEM, vm=vm, keep_disks=True))
    assert not VirtualMachine.objects.filter(pk=vm.pk).exists() and vm.name not in stage.machines()
    kept = {disk.pk: (disk.volume, disk.size_bytes, disk.wipe_after_delete) for disk in FloatingDisk.objects.all()}
    assert kept == before and {volume for volume, *_ in kept.values()} <= stage.volumes()
    assert sorted(FloatingDisk.objects.values_list("name", flat=True)) == ["desk-1 vda", "desk-1 vdb"]
    assert done(tidy_storage(actor=SYSTEM, storage=stage.world.storage)).args["found"] == []
    other = stage.make("desk-2")
    done(attach_disk(actor=SYSTEM, disk=FloatingDisk.objects.get(name="desk-1 vda"), vm=other))
    assert len(defined(stage, other)) == 2


def test_one_that_lies_on_a_template_is_refused_until_it_was_written_anew(stage):
    vm = stage.make(start=True)
    with pytest.raises(Conflict) as refusal:
        delete_vm(actor=SYSTEM, vm=vm, keep_disks=True)
    assert refusal.value.rule == "disk.whole" and fresh(vm).state == VmState.READY
    other = StorageDomain.objects.create(
        cluster=stage.world.cluster, name="other", path="/sim/other", capacity_bytes=1 << 40, available_bytes=1 << 40
    )
    done(move_disks(actor=SYSTEM, vm=fresh(vm), storage=other))
    done(delete_vm(actor=SYSTEM, vm=fresh(vm), keep_disks=True))
    assert FloatingDisk.objects.get().storage == other


def test_the_host_finds_what_the_rows_do_not_say(stage, vm):
    """An image on another one, or none at all: nothing was done to the machine then."""
    disk, spec = vm.disks.get(target="vdb"), storage_spec(stage.world.storage)
    stage.line.delete_volume(spec, disk.volume)
    assert ended(delete_vm(actor=SYSTEM, vm=vm, keep_disks=True)).error["rule"] == "disk.present"
    stage.line.create_volume(spec, disk.volume, backing=stage.line.volume(spec, stage.world.version.volume))
    assert ended(delete_vm(actor=SYSTEM, vm=fresh(vm), keep_disks=True)).error["rule"] == "disk.whole"
    assert fresh(vm).state == VmState.READY and stage.machines() == {vm.name: "running"}
    assert not FloatingDisk.objects.exists()


def test_snapshots_and_protection_keep_the_machine(stage, vm):
    done(take_snapshot(actor=SYSTEM, vm=vm, name="one"))
    with pytest.raises(Conflict) as refusal:
        delete_vm(actor=SYSTEM, vm=fresh(vm), keep_disks=True)
    assert refusal.value.rule == "snapshot.none"
    done(delete_snapshot(actor=SYSTEM, snapshot=vm.snapshots.get()))
    edit_vm(actor=SYSTEM, vm=fresh(vm), protected=True)
    with pytest.raises(Conflict) as refusal:
        delete_vm(actor=SYSTEM, vm=fresh(vm), keep_disks=True)
    assert refusal.value.rule == "vm.protected"
    edit_vm(actor=SYSTEM, vm=fresh(vm), protected=False)
    done(delete_vm(actor=SYSTEM, vm=fresh(vm), keep_disks=True))


def test_who_may_delete_but_not_change_it_gets_no_disks(stage, vm, monkeypatch):
    from broker.virt.actions import delete_vm as module

    asked: list[str] = []

    def deny(actor, verb, obj):
        asked.append(verb)
        if verb == "vm.edit":
            raise Denied("no")

    monkeypatch.setattr(module, "require", deny)
    with pytest.raises(Denied):
        delete_vm(actor=SYSTEM, vm=vm, keep_disks=True)
    assert asked == ["vm.delete", "vm.edit"]


def test_a_broken_deletion_leaves_the_disks_with_the_machine(stage, vm):
    stage.sim.fail_next("undefine", Refused("no"))
    assert ended(delete_vm(actor=SYSTEM, vm=vm, keep_disks=True)).state == "failed"
    assert fresh(vm).state == VmState.READY and vm.disks.count() == 2 and not FloatingDisk.objects.exists()
    done(delete_vm(actor=SYSTEM, vm=fresh(vm), keep_disks=True))
    assert FloatingDisk.objects.count() == 2


def test_a_full_copy_can_be_kept(stage, vm):
    done(clone_vm(actor=SYSTEM, vm=stage.make("off", linked=False), name="copy"))
    done(delete_vm(actor=SYSTEM, vm=VirtualMachine.objects.get(name="copy"), keep_disks=True))
    assert FloatingDisk.objects.get().name == "copy vda"
