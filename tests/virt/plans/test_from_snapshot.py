"""What is made from a snapshot on the simulated host: the copy holds what the snapshot holds, the machine goes on."""

import pytest

from broker.core.errors import Busy, Conflict, Invalid
from broker.virt.actions.clone_vm import clone_vm
from broker.virt.actions.create_disk import create_disk
from broker.virt.actions.delete_snapshot import delete_snapshot
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.grow_disk import grow_disk
from broker.virt.actions.make_template_version import make_template_version
from broker.virt.models import Snapshot, TemplateVersion, VirtualMachine
from tests.virt.actions.stage import SYSTEM, done, ended, fresh
from tests.virt.plans.test_disks import MIB, agree, snap


@pytest.fixture
def copied(monkeypatch, stage):
    """The images that were copied, by name."""
    found = []
    driver = type(stage.line)
    plain = driver.copy_volume

    def copy(self, storage, name, *, source, **rest):
        found.append(source.name)
        return plain(self, storage, name, source=source, **rest)

    monkeypatch.setattr(driver, "copy_volume", copy)
    return found


def test_a_running_machine_is_cloned_as_it_was(stage, copied):
    vm = stage.make(start=True)
    first = vm.disks.get()
    one = snap(vm, "one")
    done(create_disk(actor=SYSTEM, vm=fresh(vm), size_bytes=MIB))
    done(grow_disk(actor=SYSTEM, disk=vm.disks.get(target="vda"), size_bytes=first.size_bytes + MIB))
    copy = fresh(done(clone_vm(actor=SYSTEM, vm=fresh(vm), snapshot=one, name="copy")).subject_id)
    assert copied == [first.volume]
    assert [(disk.target, disk.size_bytes) for disk in copy.disks.all()] == [("vda", first.size_bytes)]
    assert stage.machines() == {"desk-1": "running", "copy": "off"}
    assert copy.snapshots.count() == 0 and vm.snapshots.count() == 1


def test_a_template_version_of_it_while_it_runs(stage, copied):
    vm = stage.make(start=True)
    first = vm.disks.get().volume
    one = snap(vm, "one")
    job = done(make_template_version(actor=SYSTEM, vm=fresh(vm), snapshot=one, seal=False))
    version = TemplateVersion.objects.get(pk=job.args["version"])
    assert copied == [first] and version.state == "ready"
    assert stage.machines() == {"desk-1": "running"}
    with pytest.raises(Invalid):
        make_template_version(actor=SYSTEM, vm=fresh(vm), snapshot=one, shut_down=True)


def test_while_it_is_copied_neither_it_nor_its_snapshot_goes(stage):
    vm = stage.make()
    one = snap(vm, "one")
    job = clone_vm(actor=SYSTEM, vm=fresh(vm), snapshot=one, name="copy")
    for action, wish in ((delete_snapshot, {"snapshot": one}), (delete_vm, {"vm": fresh(vm)})):
        with pytest.raises(Busy) as refusal:
            action(actor=SYSTEM, **wish)
        assert "copied" in str(refusal.value)
    done(job)
    done(delete_snapshot(actor=SYSTEM, snapshot=Snapshot.objects.get(pk=one.pk)))
    agree_without(stage, vm, fresh(job.subject_id))


def agree_without(stage, vm, copy):
    done(delete_vm(actor=SYSTEM, vm=copy))
    agree(stage, vm)


def test_a_snapshot_that_is_gone_when_the_work_begins_leaves_nothing(stage):
    vm = stage.make()
    one = snap(vm, "one")
    job = clone_vm(actor=SYSTEM, vm=fresh(vm), snapshot=one, name="copy")
    Snapshot.objects.filter(pk=one.pk).delete()
    assert ended(job).error["rule"] == "snapshot.whole"
    assert not VirtualMachine.objects.filter(name="copy").exists()


def test_snapshots_of_others_and_without_the_first_disk_are_refused(stage):
    vm, other = stage.make(), stage.make("desk-2")
    theirs = snap(other, "theirs")
    for action, wish in ((clone_vm, {"name": "copy"}), (make_template_version, {})):
        with pytest.raises(Invalid) as refusal:
            action(actor=SYSTEM, vm=fresh(vm), snapshot=theirs, **wish)
        assert refusal.value.field == "snapshot"
    done(create_disk(actor=SYSTEM, vm=fresh(vm), size_bytes=MIB))
    part = snap(vm, "part", disks=[vm.disks.get(target="vdb")])
    with pytest.raises(Conflict):
        make_template_version(actor=SYSTEM, vm=fresh(vm), snapshot=part)
