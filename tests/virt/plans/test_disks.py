"""Disks and snapshots of machines on the simulated host: rows, definition and files stay of one mind."""

import json

import pytest

from broker.core.errors import Conflict, Invalid
from broker.virt.actions.create_disk import create_disk
from broker.virt.actions.delete_disk import delete_disk
from broker.virt.actions.delete_snapshot import delete_snapshot
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.grow_disk import grow_disk
from broker.virt.actions.reset_disks import reset_disks
from broker.virt.actions.revert_snapshot import revert_snapshot
from broker.virt.actions.start_vm import start_vm
from broker.virt.actions.take_snapshot import take_snapshot
from broker.virt.driver import NoSpace, Refused
from broker.virt.models import Disk, Snapshot
from broker.virt.specs import storage_spec
from tests.virt.actions.stage import SYSTEM, done, ended, fresh

MIB = 1 << 20


def defined(stage, vm):
    """target → volume, in the definition on the host."""
    disks = json.loads(stage.line.definition(str(vm.pk)))["disks"]
    return {disk["target"]: disk["path"].rpartition("/")[2] for disk in disks}


def agree(stage, vm):
    """Rows, definition, what is open, and the files say the same; nothing is left over."""
    rows = {disk.target: disk.volume for disk in vm.disks.all()}
    assert defined(stage, vm) == rows
    tops = {target: stage.line.chain(str(vm.pk), target)[0].rpartition("/")[2] for target in rows}
    assert tops == rows
    frozen = {one.volume for snapshot in vm.snapshots.all() for one in snapshot.disks.all()}
    memories = {snapshot.memory for snapshot in vm.snapshots.all() if snapshot.memory}
    assert stage.volumes() == set(rows.values()) | frozen | memories


def snap(vm, name, **wish):
    done(take_snapshot(actor=SYSTEM, vm=fresh(vm), name=name, **wish))
    return Snapshot.objects.get(vm=vm, name=name)


class TestDisks:
    @pytest.mark.parametrize("start", [False, True])
    def test_one_more_comes_grows_and_goes(self, stage, start):
        vm = stage.make(start=start)
        done(create_disk(actor=SYSTEM, vm=vm, size_bytes=5 * MIB - 1))
        disk = vm.disks.get(target="vdb")
        assert disk.size_bytes == 5 * MIB
        agree(stage, vm)
        done(grow_disk(actor=SYSTEM, disk=disk, size_bytes=8 * MIB))
        disk.refresh_from_db()
        assert stage.line.volume(storage_spec(disk.storage), disk.volume).capacity == disk.size_bytes == 8 * MIB
        done(delete_disk(actor=SYSTEM, disk=disk))
        assert vm.disks.count() == 1
        agree(stage, vm)

    def test_a_disk_that_cannot_be_made_leaves_nothing(self, stage):
        vm = stage.make(start=True)
        for verb in ("create_volume", "attach_disk"):
            stage.sim.fail_next(verb, NoSpace("full") if verb == "create_volume" else Refused("no"))
            assert ended(create_disk(actor=SYSTEM, vm=vm, size_bytes=MIB)).state == "failed"
            assert vm.disks.count() == 1
            agree(stage, vm)

    def test_a_guest_that_keeps_its_disk_is_told_of_and_keeps_it(self, stage):
        vm = stage.make(start=True)
        done(create_disk(actor=SYSTEM, vm=vm, size_bytes=MIB))
        with stage.sim.changing() as data:
            data["machines"][str(vm.pk)]["deaf"] = True
        job = ended(delete_disk(actor=SYSTEM, disk=vm.disks.get(target="vdb")))
        assert (job.state, job.error["rule"]) == ("failed", "disk.let-go")
        agree(stage, vm)

    def test_what_makes_no_sense_is_refused(self, stage):
        vm = stage.make()
        disk = vm.disks.get()
        with pytest.raises(Invalid):
            grow_disk(actor=SYSTEM, disk=disk, size_bytes=disk.size_bytes)
        with pytest.raises(Conflict):
            delete_disk(actor=SYSTEM, disk=disk)
        with pytest.raises(Invalid):
            create_disk(actor=SYSTEM, vm=vm, size_bytes=-1)

    def test_a_reset_leaves_the_disks_that_did_not_come_from_the_template(self, stage):
        vm = stage.make()
        done(create_disk(actor=SYSTEM, vm=vm, size_bytes=MIB))
        kept = vm.disks.get(target="vdb").volume
        done(reset_disks(actor=SYSTEM, vm=vm))
        assert vm.disks.get(target="vdb").volume == kept
        agree(stage, vm)


class TestSnapshots:
    @pytest.mark.parametrize("start", [False, True])
    def test_taken_gone_back_to_and_deleted(self, stage, start):
        vm = stage.make(start=start)
        one, two, three = (snap(vm, name) for name in ("one", "two", "three"))
        assert (one.parent, two.parent, three.parent) == (None, one, two)
        agree(stage, vm)
        done(delete_snapshot(actor=SYSTEM, snapshot=two))  # in the middle
        three.refresh_from_db()
        assert three.parent == one
        agree(stage, vm)
        done(revert_snapshot(actor=SYSTEM, snapshot=one))
        assert vm.snapshots.get(current=True) == one
        assert fresh(vm).power_state == "off"
        agree(stage, vm)
        with pytest.raises(Conflict) as refusal:
            delete_snapshot(actor=SYSTEM, snapshot=Snapshot.objects.get(pk=one.pk))  # two states lie on it
        assert refusal.value.rule == "snapshot.straight"
        done(delete_snapshot(actor=SYSTEM, snapshot=Snapshot.objects.get(pk=three.pk)))  # nothing lies on it
        done(delete_snapshot(actor=SYSTEM, snapshot=Snapshot.objects.get(pk=one.pk)))
        assert Disk.objects.get(vm=vm).below == ""
        assert stage.machines()[vm.name] == "off"
        agree(stage, vm)

    def test_memory_goes_on_where_it_was(self, stage):
        vm = stage.make(start=True)
        kept = snap(vm, "kept", memory=True)
        assert kept.running
        done(revert_snapshot(actor=SYSTEM, snapshot=kept))
        assert stage.machines()[vm.name] == "running"
        agree(stage, vm)
        done(delete_snapshot(actor=SYSTEM, snapshot=Snapshot.objects.get(pk=kept.pk)))
        agree(stage, vm)

    def test_memory_that_cannot_be_woken_leaves_the_disks_as_they_were(self, stage):
        vm = stage.make(start=True)
        kept = snap(vm, "kept", memory=True)
        before = vm.disks.get().volume
        stage.sim.fail_next("wake_from", Refused("no"))
        assert ended(revert_snapshot(actor=SYSTEM, snapshot=kept)).state == "failed"
        assert vm.disks.get().volume == before
        agree(stage, vm)

    @pytest.mark.parametrize("verb", ["freeze_disks", "define"])
    def test_a_full_storage_leaves_the_machine_as_it_was_or_the_snapshot_taken(self, stage, verb):
        vm = stage.make(start=True)
        stage.sim.fail_next(verb, NoSpace("full"))
        job = ended(take_snapshot(actor=SYSTEM, vm=vm, name="one"))
        assert job.state == "failed"
        assert vm.snapshots.count() == (0 if verb == "freeze_disks" else 1)
        agree(stage, vm)

    def test_one_whose_qemu_ends_while_it_merges_is_held_and_merged_anew(self, stage, monkeypatch):
        vm = stage.make(start=True)
        one = snap(vm, "one")
        driver, ended_once = type(stage.line), []
        plain = driver.merge_layer

        def merge(self, uuid, target, **layers):
            if not ended_once:
                ended_once.append(uuid)
                self.power_off(uuid)
            return plain(self, uuid, target, **layers)

        monkeypatch.setattr(driver, "merge_layer", merge)
        done(delete_snapshot(actor=SYSTEM, snapshot=one))
        assert ended_once and stage.machines()[vm.name] == "off"
        agree(stage, vm)

    @pytest.mark.parametrize("which", ["disk", "snapshot", "template"])
    def test_a_lost_image_is_named_when_it_does_not_start(self, stage, which):
        vm = stage.make()
        snap(vm, "one")
        disk = vm.disks.get()
        lost = {"disk": disk.volume, "snapshot": disk.below, "template": stage.world.version.volume}[which]
        stage.line.delete_volume(storage_spec(disk.storage), lost)
        stage.sim.fail_next("start", Refused("no"))
        job = ended(start_vm(actor=SYSTEM, vm=fresh(vm)))
        assert job.error["rule"] == "disk.image" and lost in job.cause and job.fix

    def test_one_of_two_disks(self, stage):
        vm = stage.make()
        done(create_disk(actor=SYSTEM, vm=vm, size_bytes=MIB))
        extra = vm.disks.get(target="vdb")
        one = snap(vm, "one", disks=[extra])
        assert [frozen.disk for frozen in one.disks.all()] == [extra]
        with pytest.raises(Conflict):
            delete_disk(actor=SYSTEM, disk=Disk.objects.get(pk=extra.pk))
        agree(stage, vm)

    def test_what_makes_no_sense_is_refused(self, stage):
        vm, other = stage.make(), stage.make("desk-2")
        snap(vm, "one")
        for wish, error in (
            ({"name": "one"}, Conflict),
            ({"name": ""}, Invalid),
            ({"name": "x", "disks": list(other.disks.all())}, Invalid),
            ({"name": "x", "memory": True}, Conflict),
        ):
            with pytest.raises(error):
                take_snapshot(actor=SYSTEM, vm=fresh(vm), **wish)
        with pytest.raises(Conflict):
            reset_disks(actor=SYSTEM, vm=fresh(vm))

    def test_a_machine_is_deleted_with_all_its_images(self, stage):
        vm = stage.make(start=True)
        snap(vm, "one", memory=True)
        snap(vm, "two")
        done(delete_vm(actor=SYSTEM, vm=fresh(vm)))
        assert stage.volumes() == set()
