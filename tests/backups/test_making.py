"""Making, checking, restoring and deleting backups, over a simulated host."""

import pytest

from broker.backups.actions.back_up import back_up
from broker.backups.actions.delete_backup import delete_backup
from broker.backups.actions.delete_target import delete_target
from broker.backups.actions.restore_as_new import restore_as_new
from broker.backups.actions.restore_backup import restore_backup
from broker.backups.actions.verify_backup import verify_backup
from broker.backups.models import Backup, BackupDisk
from broker.core.errors import Busy, Conflict, Invalid
from broker.events.models import Event
from broker.jobs.models import Job
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.reset_disks import reset_disks
from broker.virt.driver import NoSpace, Refused
from broker.virt.models import Snapshot, VirtualMachine
from tests.virt.actions.stage import SYSTEM, done, ended, fresh


def make(vm, target, **wish) -> Backup:
    job = done(back_up(actor=SYSTEM, vm=vm, target=target, **wish))
    return Backup.objects.get(pk=job.args["backup"])


@pytest.fixture
def vm(stage):
    return stage.make("web", start=True)


class TestMaking:
    def test_the_first_is_full_and_the_next_holds_what_changed(self, stage, vm, target, files):
        first, second = make(vm, target), make(vm, target)
        assert (first.state, first.kind, first.live, first.parent) == ("ready", "full", True, None)
        assert (second.kind, second.parent, second.reason) == ("incremental", first, "")
        assert files() == {disk.volume for disk in BackupDisk.objects.all()}
        assert all(len(disk.sha256) == 64 and disk.size_bytes for disk in BackupDisk.objects.all())
        # the moment of the first is not needed any more
        assert stage.line.checkpoints(str(vm.pk)) == (second.checkpoint,)
        assert make(vm, target, full=True).kind == "full"
        assert Event.objects.filter(kind="backup.made").count() == 3

    def test_one_that_is_off_is_copied_whole_and_the_count_goes_on_after_it(self, stage, vm, target):
        first = make(vm, target)
        done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
        off = make(fresh(vm), target)
        assert (off.kind, off.live, off.checkpoint) == ("full", False, "")
        assert "off" in off.reason
        stage.line.start(str(vm.pk))
        third = make(fresh(vm), target)
        assert (third.kind, third.parent) == ("incremental", first)

    def test_lost_notes_make_a_full_one_that_says_why(self, stage, vm, target):
        first = make(vm, target)
        stage.line.forget_checkpoints(str(vm.pk), (first.checkpoint,))
        second = make(vm, target)
        assert second.kind == "full" and "does not know what changed" in second.reason
        stage.sim.fail_next("begin_backup", Refused("The bitmap is inconsistent", fix="-"))
        third = make(vm, target)
        assert (third.kind, third.parent, third.reason) == ("full", None, "The bitmap is inconsistent")

    def test_other_disks_make_a_full_one(self, stage, vm, target):
        make(vm, target)
        done(reset_disks(actor=SYSTEM, vm=vm, start=True))
        assert "other disks" in make(fresh(vm), target).reason

    @pytest.mark.parametrize("verb", ["begin_backup", "look_at_backup", "checksum", "create_volume"])
    def test_one_that_fails_leaves_nothing(self, stage, vm, target, files, verb):
        make(vm, target)
        before = files()
        stage.sim.fail_next(verb, NoSpace("The host has no space left", fix="-"))
        job = ended(back_up(actor=SYSTEM, vm=vm, target=target))
        assert job.state == "failed" and job.cause
        assert files() == before and Backup.objects.count() == 1
        assert make(vm, target).kind == "incremental"

    def test_a_machine_that_stops_in_the_middle(self, stage, vm, target, files):
        real, line = stage.line.look_at_backup, stage.line

        def crash(uuid):
            line.power_off(uuid)
            return real(uuid)

        line.look_at_backup = crash
        try:
            job = ended(back_up(actor=SYSTEM, vm=vm, target=target))
        finally:
            del line.look_at_backup
        assert job.state == "failed" and "stopped in the middle" in job.cause
        assert files() == set() and not Backup.objects.exists()
        assert stage.line.checkpoints(str(vm.pk)) == ()
        stage.line.start(str(vm.pk))
        assert make(fresh(vm), target).kind == "full"

    def test_targets_that_cannot_be_used(self, stage, vm, target, world_of_others):
        with pytest.raises(Invalid):
            back_up(actor=SYSTEM, vm=vm, target=world_of_others)
        back_up(actor=SYSTEM, vm=vm, target=target)
        with pytest.raises(Busy):
            back_up(actor=SYSTEM, vm=vm, target=target)
        with pytest.raises(Conflict):
            delete_target(actor=SYSTEM, target=target)


@pytest.fixture
def world_of_others(db):
    from broker.backups.models import BackupTarget
    from broker.virt.models import Cluster

    return BackupTarget.objects.create(cluster=Cluster.objects.create(name="far"), name="far", path="/srv/far")


class TestRestoring:
    def test_in_place(self, stage, vm, target):
        backup = make(vm, target)
        old = vm.disks.get().volume
        done(restore_backup(actor=SYSTEM, backup=backup, vm=fresh(vm), start=True))
        disk = fresh(vm).disks.get()
        assert (disk.generation, stage.volumes()) == (1, {disk.volume})
        assert disk.volume != old and stage.machines() == {"web": "running"}
        assert make(fresh(vm), target).kind == "full"

    def test_a_machine_with_snapshots_is_not_restored_in_place(self, stage, vm, target):
        backup = make(vm, target)
        Snapshot.objects.create(vm=vm, name="before")
        with pytest.raises(Conflict) as caught:
            restore_backup(actor=SYSTEM, backup=backup, vm=vm)
        assert caught.value.rule == "snapshot.none"

    def test_disks_that_are_not_there(self, vm, target):
        with pytest.raises(Invalid):
            restore_backup(actor=SYSTEM, backup=make(vm, target), vm=fresh(vm), disks=["vdz"])

    def test_as_new_after_the_machine_is_gone(self, stage, vm, target):
        mac = vm.nics.get().mac
        make(vm, target)
        backup = make(vm, target)
        done(delete_vm(actor=SYSTEM, vm=fresh(vm)))
        backup.refresh_from_db()
        assert backup.vm is None
        job = done(restore_as_new(actor=SYSTEM, backup=backup, storage=stage.world.storage, start=True))
        again = VirtualMachine.objects.get(pk=job.subject_id)
        assert (again.name, again.memory_mib, again.nics.get().mac, again.state) == ("web", 512, mac, "ready")
        assert stage.machines() == {"web": "running"}
        with pytest.raises(Conflict):
            restore_as_new(actor=SYSTEM, backup=backup, storage=stage.world.storage)
        other = done(restore_as_new(actor=SYSTEM, backup=backup, storage=stage.world.storage, name="web-2"))
        assert VirtualMachine.objects.get(pk=other.subject_id).nics.get().mac != mac

    def test_of_another_machine_only_as_new(self, stage, vm, target):
        other = stage.make("db")
        with pytest.raises(Conflict):
            restore_backup(actor=SYSTEM, backup=make(vm, target), vm=other)


class TestVerifying:
    def test_a_whole_one(self, vm, target, files):
        make(vm, target)
        backup = make(vm, target)
        before = files()
        done(verify_backup(actor=SYSTEM, backup=backup))
        backup.refresh_from_db()
        assert backup.verified_at and files() == before

    def test_a_spoilt_one_is_marked_told_and_not_restored(self, stage, vm, target):
        first = make(vm, target)
        second = make(vm, target)
        BackupDisk.objects.filter(backup=first).update(sha256="0" * 64)
        job = ended(verify_backup(actor=SYSTEM, backup=second))
        assert job.state == "failed" and "not what was written" in job.cause
        first.refresh_from_db()
        assert first.state == "broken" and first.error
        assert Event.objects.get(kind="backup.broken").severity == "error"
        with pytest.raises(Conflict):
            restore_backup(actor=SYSTEM, backup=second, vm=fresh(vm))


class TestDeleting:
    def test_the_newest_first(self, vm, target, files):
        first, second = make(vm, target), make(vm, target)
        with pytest.raises(Conflict):
            delete_backup(actor=SYSTEM, backup=first)
        done(delete_backup(actor=SYSTEM, backup=second))
        done(delete_backup(actor=SYSTEM, backup=first))
        assert files() == set() and not Backup.objects.exists()
        delete_target(actor=SYSTEM, target=target)

    def test_not_while_it_is_read(self, vm, target):
        backup = make(vm, target)
        restore_backup(actor=SYSTEM, backup=backup, vm=fresh(vm))
        assert Job.objects.filter(plan="backup.restore").exists()
        with pytest.raises(Busy):
            delete_backup(actor=SYSTEM, backup=backup)
