"""Disks that change hands on the simulated host: out of a machine, into another, and from a file nobody wanted."""

import pytest

from broker.access.require import find, visible_to
from broker.core.errors import Busy, Conflict, Denied, Invalid, Missing
from broker.virt.actions.adopt_file import adopt_file
from broker.virt.actions.attach_disk import attach_disk
from broker.virt.actions.create_disk import create_disk
from broker.virt.actions.delete_floating_disk import delete_floating_disk
from broker.virt.actions.delete_storage import delete_storage
from broker.virt.actions.detach_disk import detach_disk
from broker.virt.actions.take_snapshot import take_snapshot
from broker.virt.actions.tidy_storage import tidy_storage
from broker.virt.driver import Refused
from broker.virt.models import Disk, FloatingDisk, StorageDomain
from broker.virt.specs import storage_spec
from tests.virt.actions.stage import SYSTEM, done, ended, fresh
from tests.virt.plans.test_disks import MIB, agree, defined


@pytest.fixture
def floating(stage):
    """A disk of 3 MiB that was taken out of a running machine."""
    vm = stage.make(start=True)
    done(create_disk(actor=SYSTEM, vm=vm, size_bytes=3 * MIB))
    done(detach_disk(actor=SYSTEM, disk=vm.disks.get(target="vdb"), name="data"))
    assert list(defined(stage, vm)) == ["vda"] and vm.disks.count() == 1
    return FloatingDisk.objects.get()


@pytest.mark.parametrize("start", [False, True])
def test_out_of_one_machine_into_another(stage, floating, start):
    other = stage.make("desk-2", start=start)
    done(attach_disk(actor=SYSTEM, disk=floating, vm=other))
    disk = other.disks.get(target="vdb")
    assert (disk.pk, disk.volume, disk.size_bytes) == (floating.pk, floating.volume, 3 * MIB)
    assert not FloatingDisk.objects.exists() and defined(stage, other)["vdb"] == floating.volume
    assert stage.line.chain(str(other.pk), "vdb")[0] == disk.path
    done(take_snapshot(actor=SYSTEM, vm=fresh(other), name="one"))  # the machine's own in every way
    assert other.disks.get(target="vdb").below == floating.volume
    with pytest.raises(Conflict):
        detach_disk(actor=SYSTEM, disk=other.disks.get(target="vdb"))


def test_one_that_does_not_get_in_waits_as_before(stage, floating):
    other = stage.make("desk-2", start=True)
    for verb in ("attach_disk", "define"):
        stage.sim.fail_next(verb, Refused("no"))
        assert ended(attach_disk(actor=SYSTEM, disk=FloatingDisk.objects.get(), vm=fresh(other))).state == "failed"
        back = FloatingDisk.objects.get()
        assert (back.pk, back.name, back.volume) == (floating.pk, "data", floating.volume)
        agree_with(stage, other, {floating.volume})
    stage.line.delete_volume(storage_spec(floating.storage), floating.volume)
    job = ended(attach_disk(actor=SYSTEM, disk=FloatingDisk.objects.get(), vm=fresh(other)))
    assert job.error["rule"] == "disk.present" and FloatingDisk.objects.exists()


def agree_with(stage, vm, more):
    assert list(defined(stage, vm)) == ["vda"] and more <= stage.volumes()


def test_a_guest_that_keeps_its_disk_keeps_it(stage):
    vm = stage.make(start=True)
    done(create_disk(actor=SYSTEM, vm=vm, size_bytes=MIB))
    with stage.sim.changing() as data:
        data["machines"][str(vm.pk)]["deaf"] = True
    assert ended(detach_disk(actor=SYSTEM, disk=vm.disks.get(target="vdb"))).error["rule"] == "disk.let-go"
    assert not FloatingDisk.objects.exists()
    agree(stage, vm)


def test_what_makes_no_sense_is_refused(stage, floating):
    vm = stage.make("desk-2")
    with pytest.raises(Conflict) as refusal:
        detach_disk(actor=SYSTEM, disk=vm.disks.get())
    assert refusal.value.rule == "disk.first"
    elsewhere = StorageDomain.objects.create(cluster=stage.world.cluster, name="other", path="/sim/other")
    elsewhere.host = stage.world.host
    delete_floating_disk(actor=SYSTEM, disk=floating)
    with pytest.raises(Busy):
        attach_disk(actor=SYSTEM, disk=floating, vm=vm)


def test_deleted_and_till_then_not_taken_for_left_over(stage, floating):
    assert done(tidy_storage(actor=SYSTEM, storage=stage.world.storage)).args["found"] == []
    with pytest.raises(Conflict):
        delete_storage(actor=SYSTEM, storage=stage.world.storage)
    done(delete_floating_disk(actor=SYSTEM, disk=floating))
    assert floating.volume not in stage.volumes() and not FloatingDisk.objects.exists()


def test_a_left_over_file_becomes_a_disk_and_one_in_use_does_not(stage):
    vm, spec = stage.make(), storage_spec(stage.world.storage)
    stage.line.create_volume(spec, "theirs.qcow2", capacity=5 * MIB)
    job = done(adopt_file(actor=SYSTEM, storage=stage.world.storage, file="theirs.qcow2"))
    disk = FloatingDisk.objects.get(pk=job.args["disk"])
    assert (disk.name, disk.volume, disk.size_bytes) == ("theirs.qcow2", "theirs.qcow2", 5 * MIB)
    for used in ("theirs.qcow2", vm.disks.get().volume, stage.world.version.volume, "nothing.qcow2"):
        job = ended(adopt_file(actor=SYSTEM, storage=stage.world.storage, file=used))
        assert job.error["rule"] == "storage.left-over", used
    done(attach_disk(actor=SYSTEM, disk=disk, vm=vm))
    assert defined(stage, vm)["vdb"] == "theirs.qcow2"


def test_a_file_that_qemu_must_not_open_does_not_become_a_disk(stage, monkeypatch):
    stage.line.create_volume(storage_spec(stage.world.storage), "evil.qcow2", capacity=5 * MIB)
    backed = b"QFI\xfb" + bytes([0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 11]) + bytes(100)
    for head in (backed, b"KDMV" + bytes(600), b"", b"QFI\xfb"):
        monkeypatch.setattr(type(stage.line), "head_of_volume", lambda *args, head=head: head)
        job = ended(adopt_file(actor=SYSTEM, storage=stage.world.storage, file="evil.qcow2"))
        assert job.state == "failed" and "cannot become a disk" in job.cause, head
    assert not FloatingDisk.objects.exists()
    with pytest.raises(Invalid):
        adopt_file(actor=SYSTEM, storage=stage.world.storage, file="../evil")


def test_who_took_it_out_may_put_it_in_and_nobody_else_sees_it(stage):
    vm, world = stage.make(), stage.world
    done(create_disk(actor=SYSTEM, vm=vm, size_bytes=MIB))
    world.grant(world.alice, "vm-manager", vm)
    alice, bob = world.actor("alice"), world.actor("bob")
    done(detach_disk(actor=alice, disk=vm.disks.get(target="vdb")))
    disk = find(alice, FloatingDisk, FloatingDisk.objects.get().pk)
    assert not visible_to(bob, FloatingDisk).exists()
    with pytest.raises((Missing, Denied)):
        attach_disk(actor=bob, disk=disk, vm=vm)
    done(attach_disk(actor=alice, disk=disk, vm=fresh(vm)))
    assert Disk.objects.filter(pk=disk.pk, vm=vm).exists()
