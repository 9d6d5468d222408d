"""Disks that several machines have, and how a machine's own are written to, on the simulated host."""

import json

import pytest

from broker.access.models import Quota
from broker.access.require import visible_to
from broker.core.errors import Conflict, Invalid, Missing, OverQuota
from broker.virt import pending
from broker.virt.actions.adopt_file import adopt_file
from broker.virt.actions.attach_disk import attach_disk
from broker.virt.actions.attach_shared_disk import attach_shared_disk
from broker.virt.actions.create_disk import create_disk
from broker.virt.actions.delete_floating_disk import delete_floating_disk
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.detach_disk import detach_disk
from broker.virt.actions.detach_shared_disk import detach_shared_disk
from broker.virt.actions.edit_disk import edit_disk
from broker.virt.actions.give_vm import give_vm
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.share_disk import share_disk
from broker.virt.actions.start_vm import start_vm
from broker.virt.actions.take_snapshot import take_snapshot
from broker.virt.actions.tidy_storage import tidy_storage
from broker.virt.actions.undo_changes import undo_changes
from broker.virt.driver import NoSpace
from broker.virt.models import DiskShare, FloatingDisk, StorageDomain
from broker.virt.queries import whole_machine
from broker.virt.specs import storage_spec
from tests.jobs_help import run_all
from tests.virt.actions.stage import SYSTEM, done, ended, fresh

MIB = 1 << 20


def taken_out(vm, *, actor=SYSTEM, size=3 * MIB, name="data"):
    done(create_disk(actor=SYSTEM, vm=fresh(vm), size_bytes=size))
    disk = vm.disks.last()
    done(detach_disk(actor=actor, disk=disk, name=name))
    return FloatingDisk.objects.get(pk=disk.pk)


@pytest.fixture
def shared(stage):
    disk = taken_out(stage.make("maker"))
    done(share_disk(actor=SYSTEM, disk=disk))
    disk.refresh_from_db()
    return disk


def defined(stage, vm):
    return {disk["target"]: disk for disk in json.loads(stage.line.definition(str(vm.pk)))["disks"]}


def share_of(vm):
    return DiskShare.objects.select_related("vm", "disk").get(vm=vm)


class TestSharing:
    def test_its_image_is_raw_while_it_is_shared(self, stage, shared):
        spec = storage_spec(shared.storage)
        assert shared.shared and stage.line.volume(spec, shared.volume).format == "raw"
        assert [one for one in stage.volumes() if str(shared.pk) in one] == [shared.volume]
        assert done(tidy_storage(actor=SYSTEM, storage=shared.storage)).args["found"] == []
        done(share_disk(actor=SYSTEM, disk=shared, shared=False))
        shared.refresh_from_db()
        assert not shared.shared and stage.line.volume(spec, shared.volume).format == "qcow2"

    def test_when_it_cannot_be_written_anew_it_stays_what_it_is(self, stage):
        disk = taken_out(stage.make())
        stage.sim.fail_next("copy_volume", NoSpace("full"))
        assert ended(share_disk(actor=SYSTEM, disk=disk)).state == "failed"
        disk.refresh_from_db()
        assert not disk.shared and [one for one in stage.volumes() if str(disk.pk) in one] == [disk.volume]

    @pytest.mark.parametrize("start", [False, True])
    def test_two_machines_have_it_and_it_outlives_one(self, stage, shared, start):
        one, two = stage.make("one", start=start), stage.make("two", start=start)
        attach_shared_disk(actor=SYSTEM, disk=shared, vm=fresh(one))
        attach_shared_disk(actor=SYSTEM, disk=shared, vm=fresh(two), read_only=True)
        run_all()
        for vm in (one, two):
            if start:
                assert stage.line.chain(str(vm.pk), "vdb")[0].endswith(shared.volume)
            else:
                done(start_vm(actor=SYSTEM, vm=fresh(vm)))
            disk = defined(stage, vm)["vdb"]
            assert disk["shareable"] and disk["format"] == "raw" and disk["readonly"] is (vm == two)
        assert share_of(one).plugged and pending.of(one) is None
        for refused in (
            lambda: delete_floating_disk(actor=SYSTEM, disk=shared),
            lambda: share_disk(actor=SYSTEM, disk=shared, shared=False),
        ):
            with pytest.raises(Conflict) as refusal:
                refused()
            assert "machine one" in refusal.value.message
        done(delete_vm(actor=SYSTEM, vm=fresh(one)))
        assert shared.volume in stage.volumes() and FloatingDisk.objects.filter(pk=shared.pk).exists()
        detach_shared_disk(actor=SYSTEM, share=share_of(two))
        run_all()
        assert list(defined(stage, two)) == ["vda"] and not DiskShare.objects.exists()
        done(delete_floating_disk(actor=SYSTEM, disk=shared))
        assert shared.volume not in stage.volumes()

    def test_of_a_running_machine_it_can_wait_and_be_undone(self, stage, shared):
        vm = stage.make(start=True)
        attach_shared_disk(actor=SYSTEM, disk=shared, vm=fresh(vm), now=False)
        run_all()
        (line,) = pending.differences(vm, pending.of(vm))
        assert (line.now, line.then, line.name) == (None, {"read_only": False}, "vdb (data)")
        assert list(defined(stage, vm)) == ["vda"]
        assert undo_changes(actor=SYSTEM, vm=fresh(vm)) and not DiskShare.objects.exists()
        attach_shared_disk(actor=SYSTEM, disk=shared, vm=fresh(vm), now=False)
        done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
        done(start_vm(actor=SYSTEM, vm=fresh(vm)))
        assert share_of(vm).plugged and "vdb" in defined(stage, vm)

    def test_a_guest_that_keeps_it_has_it_until_its_next_start(self, stage, shared):
        vm = stage.make(start=True)
        attach_shared_disk(actor=SYSTEM, disk=shared, vm=fresh(vm))
        run_all()
        with stage.sim.changing() as data:
            data["machines"][str(vm.pk)]["deaf"] = True
        detach_shared_disk(actor=SYSTEM, share=share_of(vm))
        run_all()
        assert "does not let the disk" in str(pending.of(vm).reasons) and "vdb" in defined(stage, vm)
        done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
        done(start_vm(actor=SYSTEM, vm=fresh(vm)))
        assert list(defined(stage, vm)) == ["vda"] and not DiskShare.objects.exists()

    def test_no_snapshot_holds_it_and_no_memory_is_kept_with_it(self, stage, shared):
        vm = stage.make(start=True)
        attach_shared_disk(actor=SYSTEM, disk=shared, vm=fresh(vm))
        run_all()
        with pytest.raises(Conflict) as refusal:
            take_snapshot(actor=SYSTEM, vm=fresh(vm), name="all", memory=True)
        assert refusal.value.rule == "disk.held" and "vdb" in refusal.value.message
        done(take_snapshot(actor=SYSTEM, vm=fresh(vm), name="own"))
        assert stage.line.chain(str(vm.pk), "vdb") == (f"{shared.storage.path}/{shared.volume}",)

    def test_what_makes_no_sense_is_refused(self, stage, shared):
        vm = stage.make()
        plain = taken_out(vm, name="plain")
        for rule, refused in (
            ("disk.shared", lambda: attach_shared_disk(actor=SYSTEM, disk=plain, vm=fresh(vm))),
            ("disk.own", lambda: attach_disk(actor=SYSTEM, disk=shared, vm=fresh(vm))),
            ("disk.shared", lambda: share_disk(actor=SYSTEM, disk=shared)),
            ("disk.shared", lambda: share_disk(actor=SYSTEM, disk=plain, shared=False)),
        ):
            with pytest.raises(Conflict) as refusal:
                refused()
            assert refusal.value.rule == rule and refusal.value.fix
        attach_shared_disk(actor=SYSTEM, disk=shared, vm=fresh(vm))
        with pytest.raises(Conflict) as refusal:
            attach_shared_disk(actor=SYSTEM, disk=shared, vm=fresh(vm))
        assert refusal.value.rule == "disk.once"
        lun = StorageDomain.objects.create(cluster=stage.world.cluster, name="luns", kind="iscsi", path="/luns")
        on_lun = FloatingDisk.objects.create(name="lun", storage=lun, volume="l", size_bytes=MIB)
        with pytest.raises(Conflict) as refusal:
            share_disk(actor=SYSTEM, disk=on_lun)
        assert refusal.value.rule == "storage.files"

    def test_only_who_manages_the_disk_and_edits_the_machine_gives_it(self, stage, shared):
        world, vm = stage.world, stage.make()
        give_vm(actor=SYSTEM, vm=vm, owner=world.alice)
        assert not visible_to(world.actor("alice"), FloatingDisk).exists()
        with pytest.raises(Missing):
            attach_shared_disk(actor=world.actor("alice"), disk=shared, vm=fresh(vm))
        FloatingDisk.objects.filter(pk=shared.pk).update(owner=world.alice)
        shared.refresh_from_db()
        assert attach_shared_disk(actor=world.actor("alice"), disk=shared, vm=fresh(vm)).plugged
        assert attach_shared_disk(actor=SYSTEM, disk=shared, vm=stage.make("other")).plugged


class TestOwnDisks:
    def test_options_of_one_that_is_off_count_at_once(self, stage):
        vm = stage.make()
        edit_disk(actor=SYSTEM, disk=vm.disks.get(), read_only=True, discard="ignore", detect_zeroes="on")
        done(start_vm(actor=SYSTEM, vm=fresh(vm)))
        disk = defined(stage, vm)["vda"]
        assert (disk["readonly"], disk["discard"], disk["detect_zeroes"]) == (True, "ignore", "on")

    def test_of_one_that_runs_they_wait(self, stage):
        vm = stage.make(start=True)
        edit_disk(actor=SYSTEM, disk=vm.disks.get(), read_only=True)
        edit_disk(actor=SYSTEM, disk=vm.disks.get(), read_only=False)
        assert pending.of(vm) is None
        edit_disk(actor=SYSTEM, disk=vm.disks.get(), read_only=True, detect_zeroes="unmap")
        (line,) = pending.differences(vm, pending.of(vm))
        assert line.name == "vda" and line.then == {"read_only": True, "detect_zeroes": "unmap"}
        assert not vm.disks.get().read_only
        done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
        done(start_vm(actor=SYSTEM, vm=fresh(vm)))
        assert vm.disks.get().read_only and defined(stage, vm)["vda"]["readonly"]

    def test_what_cannot_be_is_refused(self, stage):
        vm = stage.make()
        with pytest.raises(Invalid):
            edit_disk(actor=SYSTEM, disk=vm.disks.get(), discard="sometimes")
        with pytest.raises(Conflict):
            edit_disk(actor=SYSTEM, disk=vm.disks.get(), discard="ignore", detect_zeroes="unmap")
        done(take_snapshot(actor=SYSTEM, vm=fresh(vm), name="before"))
        with pytest.raises(Conflict) as refusal:
            edit_disk(actor=SYSTEM, disk=vm.disks.get(), read_only=True)
        assert refusal.value.rule == "snapshot.none"

    def test_a_read_only_disk_is_left_out_of_snapshots(self, stage):
        vm = stage.make()
        done(create_disk(actor=SYSTEM, vm=vm, size_bytes=MIB))
        edit_disk(actor=SYSTEM, disk=vm.disks.get(target="vdb"), read_only=True)
        done(take_snapshot(actor=SYSTEM, vm=fresh(vm), name="one"))
        assert [one.disk.target for one in vm.snapshots.get().disks.all()] == ["vda"]
        with pytest.raises(Invalid):
            take_snapshot(actor=SYSTEM, vm=fresh(vm), name="two", disks=[vm.disks.get(target="vdb")])


class TestWhoPays:
    """Row by row: a disk of no machine costs its owner, and its cluster, what it costs in a machine."""

    def test_one_of_no_machine_counts_for_its_owner(self, stage):
        world, vm = stage.world, stage.make()
        give_vm(actor=SYSTEM, vm=fresh(vm), owner=world.alice)
        disk = taken_out(vm, actor=world.actor("alice"), size=1024 * MIB)
        limit = Quota.objects.create(user=world.alice, disk_gib=6, mode=Quota.Mode.ENFORCED)
        assert disk.owner == world.alice
        with pytest.raises(OverQuota):
            create_disk(actor=SYSTEM, vm=fresh(vm), size_bytes=2048 * MIB)
        done(attach_disk(actor=SYSTEM, disk=disk, vm=fresh(vm)))  # hers before and after: nothing more
        limit.delete()

    def test_taking_one_out_of_anothers_machine_costs_whom_it_belongs_to_then(self, stage):
        world, vm = stage.world, stage.make()
        done(create_disk(actor=SYSTEM, vm=vm, size_bytes=2048 * MIB))
        give_vm(actor=SYSTEM, vm=fresh(vm), owner=world.bob)
        world.grant(world.alice, "operator", world.cluster)
        Quota.objects.create(user=world.alice, disk_gib=1, mode=Quota.Mode.ENFORCED)
        with pytest.raises(OverQuota):
            detach_disk(actor=world.actor("alice"), disk=vm.disks.last())
        assert vm.disks.count() == 2

    def test_a_left_over_file_becomes_a_disk_within_the_quota_only(self, stage):
        cluster = stage.world.cluster
        stage.line.create_volume(storage_spec(stage.world.storage), "theirs.qcow2", capacity=5 << 30)
        Quota.objects.create(cluster=cluster, disk_gib=4, mode=Quota.Mode.ENFORCED)
        job = ended(adopt_file(actor=SYSTEM, storage=stage.world.storage, file="theirs.qcow2"))
        assert job.state == "failed" and job.error["rule"] == "quota.disk-gib" and not FloatingDisk.objects.exists()


def test_its_storage_is_one_that_a_host_has_to_see(stage, shared):
    """For starting and for moving, as with its own."""
    from broker.virt.migrating.order import needed
    from broker.virt.placement.gather import request_of

    vm = stage.make()
    other = StorageDomain.objects.create(cluster=stage.world.cluster, name="other", path="/sim/other")
    FloatingDisk.objects.filter(pk=shared.pk).update(storage=other)
    DiskShare.objects.create(vm=vm, disk=shared, target="vdb")
    whole = whole_machine(vm.pk)
    assert other.pk in request_of(whole).storages and other.pk in needed(whole)
