"""Disks move between storages, running and off; whatever happens, one whole disk is left and everybody knows where."""

import pytest

from broker.access.actions.cancel_job import cancel_job
from broker.core import clock
from broker.core.errors import Conflict, Invalid
from broker.jobs.models import Job
from broker.jobs.runner import Runner
from broker.virt.actions.create_disk import create_disk
from broker.virt.actions.create_storage import create_storage
from broker.virt.actions.edit_storage import edit_storage
from broker.virt.actions.move_disks import move_disks
from broker.virt.actions.pace_move import pace_move
from broker.virt.actions.take_snapshot import take_snapshot
from broker.virt.driver import NoSpace, Refused, SavedPoints
from broker.virt.models import StorageDomain
from broker.virt.specs import storage_spec, volume_path
from tests.virt.actions.stage import SYSTEM, done, ended, fresh

MIB = 1 << 20


@pytest.fixture
def other(stage):
    return create_storage(actor=SYSTEM, cluster=stage.world.cluster, name="other", path="/sim/other")


def volumes(stage, storage):
    stage.line.ensure_storage(storage_spec(storage))
    return {one.name for one in stage.line.volumes(storage_spec(storage))} - {stage.world.version.volume}


def agree(stage, vm, *storages):
    """Each row says where the disk is, the machine uses it there, and no other file is left on any storage."""
    rows = list(vm.disks.select_related("storage"))
    for disk in rows:
        path = volume_path(disk.storage, disk.volume)
        assert disk.path in (path, "") and stage.line.chain(str(vm.pk), disk.target)[0] == path
        assert f'"{path}"' in stage.line.definition(str(vm.pk))
    for storage in (stage.world.storage, *storages):
        assert volumes(stage, storage) == {disk.volume for disk in rows if disk.storage == storage}


@pytest.mark.parametrize("start", [False, True])
def test_all_disks_move_as_one_job(stage, other, start):
    vm = stage.make(start=start)
    done(create_disk(actor=SYSTEM, vm=vm, size_bytes=MIB))
    job = done(move_disks(actor=SYSTEM, vm=fresh(vm), storage=other, bandwidth_mib=50))
    assert [disk.storage for disk in vm.disks.all()] == [other, other]
    assert [disk.generation for disk in vm.disks.all()] == [1, 1]
    assert job.args["bandwidth"] == 50 * MIB
    agree(stage, vm, other)
    extra = vm.disks.get(target="vdb")
    done(move_disks(actor=SYSTEM, vm=fresh(vm), storage=stage.world.storage, disks=[extra]))
    agree(stage, vm, other)
    extra.refresh_from_db()
    if start:
        with pytest.raises(Conflict) as refused:
            move_disks(actor=SYSTEM, vm=fresh(vm), storage=stage.world.storage, disks=[extra])
        assert refused.value.rule == "disk.rewrite"
    with pytest.raises(Conflict) as refused:
        move_disks(actor=SYSTEM, vm=fresh(vm), storage=other, disks=[])
    assert refused.value.rule == "disk.elsewhere"


def test_one_that_is_off_is_written_anew_where_it_is(stage):
    vm = stage.make()
    done(move_disks(actor=SYSTEM, vm=vm, storage=stage.world.storage, disks=list(vm.disks.all())))
    assert vm.disks.get().generation == 1
    agree(stage, vm)


@pytest.mark.parametrize(
    ("verb", "start"), [("create_volume", True), ("mirror_disk", True), ("pivot_disk", True), ("copy_volume", False)]
)
def test_a_move_that_fails_leaves_the_disks_where_they_were(stage, other, verb, start):
    vm = stage.make(start=start)
    stage.sim.fail_next(verb, NoSpace("full") if verb == "create_volume" else Refused("no", fix="-"))
    assert ended(move_disks(actor=SYSTEM, vm=fresh(vm), storage=other)).state == "failed"
    assert vm.disks.get().storage == stage.world.storage
    agree(stage, vm, other)


def at(stage, verb, number, act):
    """Do `act` when the host is asked `verb` for the `number`th time."""
    meet, seen = stage.sim.meet, []

    def met(asked, **lost):
        if asked == verb:
            seen.append(asked)
            if len(seen) == number:
                act()
        return meet(asked, **lost)

    stage.sim.meet = met


def fail():
    raise Refused("no", fix="-")


def test_a_cancelled_move_leaves_them_too(stage, other):
    vm = stage.make(start=True)
    done(create_disk(actor=SYSTEM, vm=vm, size_bytes=MIB))
    job = move_disks(actor=SYSTEM, vm=fresh(vm), storage=other)
    at(stage, "mirror_disk", 3, lambda: cancel_job(actor=SYSTEM, job=job))
    assert ended(job).state == "cancelled"
    assert {disk.storage for disk in vm.disks.all()} == {stage.world.storage}
    agree(stage, vm, other)


def test_when_the_second_cannot_be_put_over_each_is_whole_where_it_is(stage, other):
    vm = stage.make(start=True)
    done(create_disk(actor=SYSTEM, vm=vm, size_bytes=MIB))
    at(stage, "pivot_disk", 2, fail)
    assert ended(move_disks(actor=SYSTEM, vm=fresh(vm), storage=other)).state == "failed"
    assert [disk.storage for disk in vm.disks.all()] == [other, stage.world.storage]
    agree(stage, vm, other)


def test_a_machine_that_stops_meanwhile_is_copied_as_files(stage, other):
    vm = stage.make(start=True)
    at(stage, "mirror_disk", 2, lambda: stage.line.power_off(str(vm.pk)))
    job = ended(move_disks(actor=SYSTEM, vm=fresh(vm), storage=other))
    assert (job.state, job.args["mode"]) == ("succeeded", "off"), job.cause
    agree(stage, vm, other)


def test_what_cannot_be_moved_is_refused(stage, other):
    vm = stage.make(start=True)
    elsewhere = StorageDomain(cluster=stage.world.cluster, name="far", path="/sim/far", host_id=None)
    elsewhere.cluster = type(stage.world.cluster).objects.create(name="other-cluster")
    elsewhere.save()
    with pytest.raises(Invalid):
        move_disks(actor=SYSTEM, vm=vm, storage=elsewhere)
    done(take_snapshot(actor=SYSTEM, vm=vm, name="one"))
    with pytest.raises(Conflict) as refused:
        move_disks(actor=SYSTEM, vm=fresh(vm), storage=other)
    assert refused.value.rule == "disk.unfrozen"


def test_a_full_storage_refuses_new_work(stage, other):
    vm = stage.make()
    StorageDomain.objects.filter(pk=other.pk).update(capacity_bytes=1000 * MIB, available_bytes=60 * MIB)
    other.refresh_from_db()
    assert other.level == "warning"
    with pytest.raises(Conflict) as refused:
        move_disks(actor=SYSTEM, vm=vm, storage=other)
    assert refused.value.rule == "storage.room" and "60 MiB" in refused.value.message
    StorageDomain.objects.filter(pk=other.pk).update(available_bytes=50 * MIB)
    other.refresh_from_db()
    assert other.level == "critical"
    with pytest.raises(Conflict):
        create_disk(actor=SYSTEM, vm=vm, size_bytes=MIB, storage=other)
    with pytest.raises(Invalid):
        edit_storage(actor=SYSTEM, storage=other, critical_percent=20)
    edit_storage(actor=SYSTEM, storage=other, critical_percent=0)
    done(create_disk(actor=SYSTEM, vm=vm, size_bytes=MIB, storage=other))


def test_snapshots_that_others_took_on_the_host_are_not_mixed_with_ours(stage, other):
    vm = stage.make(start=True)
    stage.line.restore_points(str(vm.pk), SavedPoints(snapshots=("<one/>",), current="one"))
    for job in (
        ended(take_snapshot(actor=SYSTEM, vm=fresh(vm), name="ours")),
        ended(move_disks(actor=SYSTEM, vm=fresh(vm), storage=other)),
    ):
        assert (job.state, job.error["rule"]) == ("failed", "snapshot.foreign")
        assert "virsh" in job.fix
    agree(stage, vm, other)


def test_a_copy_is_slowed_down_held_and_goes_on(stage, other):
    vm = stage.make(start=True)
    with pytest.raises(Conflict) as refused:
        pace_move(actor=SYSTEM, vm=vm, paused=True)
    assert refused.value.rule == "disk.copying"
    job = move_disks(actor=SYSTEM, vm=fresh(vm), storage=other)
    Runner().run(job.pk)
    assert pace_move(actor=SYSTEM, vm=vm, paused=True).args["paused"] is True
    for _ in range(30):
        Job.objects.filter(pk=job.pk).update(next_run_at=clock.now())
        Runner().run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.message, vm.disks.get().storage) == ("waiting", "Held", stage.world.storage)
    with pytest.raises(Invalid):
        pace_move(actor=SYSTEM, vm=vm, bandwidth_mib=-1)
    pace_move(actor=SYSTEM, vm=vm, bandwidth_mib=7, paused=False)
    assert done(job).args["bandwidth"] == 7 * MIB
    agree(stage, vm, other)
