"""Which volumes are overwritten before they go, on the simulated host."""

import pytest

from broker.core.errors import Invalid
from broker.virt.actions.attach_disk import attach_disk
from broker.virt.actions.clone_vm import clone_vm
from broker.virt.actions.convert_disk import convert_disk
from broker.virt.actions.create_disk import create_disk
from broker.virt.actions.delete_disk import delete_disk
from broker.virt.actions.delete_floating_disk import delete_floating_disk
from broker.virt.actions.delete_snapshot import delete_snapshot
from broker.virt.actions.delete_template_version import delete_template_version
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.detach_disk import detach_disk
from broker.virt.actions.edit_disk import edit_disk
from broker.virt.actions.edit_storage import edit_storage
from broker.virt.actions.move_disks import move_disks
from broker.virt.actions.reset_disks import reset_disks
from broker.virt.actions.revert_snapshot import revert_snapshot
from broker.virt.actions.take_snapshot import take_snapshot
from broker.virt.driver import Refused
from broker.virt.models import FloatingDisk, StorageDomain, VirtualMachine
from broker.virt.specs import storage_spec
from broker.virt.states import VmState
from tests.virt.actions.stage import SYSTEM, done, ended, fresh
from tests.virt.plans.test_disks import MIB


def wiped(stage) -> list[str]:
    with stage.sim.changing() as data:
        return sorted(name for one in data["storages"].values() for name in one.get("wiped", []))


@pytest.fixture
def vm(stage):
    """It runs, and its two disks are to be wiped."""
    vm = stage.make(start=True)
    done(create_disk(actor=SYSTEM, vm=vm, size_bytes=MIB, wipe_after_delete="on"))
    edit_disk(actor=SYSTEM, disk=vm.disks.get(target="vda"), wipe_after_delete="on")
    return fresh(vm)


def test_a_disk_says_it_itself_or_leaves_it_to_its_storage(stage):
    vm = stage.make()
    for wish, storage, expected in (
        ("storage", False, False), ("storage", True, True), ("on", False, True), ("off", True, False),
    ):  # fmt: skip
        edit_storage(actor=SYSTEM, storage=stage.world.storage, wipe_after_delete=storage)
        stage.world.storage.refresh_from_db()
        done(create_disk(actor=SYSTEM, vm=fresh(vm), size_bytes=MIB, wipe_after_delete=wish))
        disk = vm.disks.get(target="vdb")
        done(delete_disk(actor=SYSTEM, disk=disk))
        assert (disk.volume in wiped(stage)) is expected, (wish, storage)
        assert disk.volume not in stage.volumes()
    with pytest.raises(Invalid):
        create_disk(actor=SYSTEM, vm=fresh(vm), size_bytes=MIB, wipe_after_delete="perhaps")
    with pytest.raises(Invalid):
        edit_disk(actor=SYSTEM, disk=vm.disks.get(), wipe_after_delete="")


def test_it_counts_at_once_while_the_machine_runs(stage, vm):
    disk = vm.disks.get(target="vdb")
    assert edit_disk(actor=SYSTEM, disk=disk, wipe_after_delete="off", discard="ignore").wipe_after_delete == "off"
    disk.refresh_from_db()
    assert (disk.wipe_after_delete, disk.discard) == ("off", "")  # the other waits for the next start


def test_a_machine_with_snapshots_goes_from_the_top_down(stage, vm):
    """The simulated host refuses to overwrite what something lies on, as a real one does."""
    for name in ("one", "two"):
        done(take_snapshot(actor=SYSTEM, vm=fresh(vm), name=name, memory=True))
    mine = {name for name in stage.volumes() if any(name.startswith(str(disk.pk)) for disk in vm.disks.all())}
    memories = {snapshot.memory for snapshot in vm.snapshots.all()}
    assert len(mine) == 6 and memories <= stage.volumes()
    done(delete_vm(actor=SYSTEM, vm=fresh(vm)))
    assert set(wiped(stage)) == mine | memories
    assert not (mine | memories) & stage.volumes()


def test_merged_and_reverted_layers_go_wiped(stage, vm):
    done(take_snapshot(actor=SYSTEM, vm=vm, name="one"))
    tops = {disk.volume for disk in vm.disks.all()}
    done(revert_snapshot(actor=SYSTEM, snapshot=vm.snapshots.get(), start=True))
    assert tops == set(wiped(stage))
    tops |= {disk.volume for disk in vm.disks.all()}
    done(delete_snapshot(actor=SYSTEM, snapshot=vm.snapshots.get()))
    assert tops == set(wiped(stage))


def test_what_a_move_and_a_conversion_leave(stage, vm):
    other = StorageDomain.objects.create(
        cluster=stage.world.cluster, name="other", path="/sim/other", capacity_bytes=1 << 40, available_bytes=1 << 40
    )
    old = vm.disks.get(target="vdb").volume
    done(move_disks(actor=SYSTEM, vm=vm, storage=other, disks=[vm.disks.get(target="vdb")]))
    assert wiped(stage) == [old]
    done(convert_disk(actor=SYSTEM, disk=vm.disks.get(target="vdb"), image_format="raw"))
    assert len(wiped(stage)) == 2


def test_fresh_disks_leave_the_old_ones_wiped(stage, vm):
    old = vm.disks.get(target="vda").volume
    done(delete_disk(actor=SYSTEM, disk=vm.disks.get(target="vdb")))
    done(reset_disks(actor=SYSTEM, vm=fresh(vm)))
    assert old in wiped(stage)


def test_the_wish_goes_along_with_the_disk(stage, vm):
    done(detach_disk(actor=SYSTEM, disk=vm.disks.get(target="vdb"), name="data"))
    other = stage.make("desk-2")
    done(attach_disk(actor=SYSTEM, disk=FloatingDisk.objects.get(), vm=other))
    assert other.disks.get(target="vdb").wipe_after_delete == "on"
    done(clone_vm(actor=SYSTEM, vm=fresh(other), name="copy"))
    clone = VirtualMachine.objects.get(name="copy")
    assert [disk.wipe_after_delete for disk in clone.disks.all()] == ["storage", "on"]
    done(detach_disk(actor=SYSTEM, disk=other.disks.get(target="vdb")))
    floating = FloatingDisk.objects.get()
    done(delete_floating_disk(actor=SYSTEM, disk=floating))
    assert wiped(stage) == [floating.volume]


def test_a_template_goes_by_its_storage(stage):
    edit_storage(actor=SYSTEM, storage=stage.world.storage, wipe_after_delete=True)
    volume = stage.world.version.volume
    done(delete_template_version(actor=SYSTEM, version=stage.world.version))
    assert volume in wiped(stage)


def test_what_was_overwritten_is_no_machine_any_more(stage, vm):
    """Half of it gone, the file is still there; nobody takes it for a disk, and the job can be done again."""
    stage.sim.fail_next("delete_volume", Refused("locked"))
    assert ended(delete_vm(actor=SYSTEM, vm=vm)).state == "failed"
    vm.refresh_from_db()
    disk = vm.disks.get(target="vda")
    assert vm.state == VmState.BROKEN and disk.volume in _files(stage)
    assert stage.line.volume(storage_spec(disk.storage), disk.volume) is None
    done(delete_vm(actor=SYSTEM, vm=vm))
    assert not [name for name in _files(stage) if name.startswith(str(disk.pk))]


def _files(stage) -> set[str]:
    """Also those that do not count."""
    with stage.sim.changing() as data:
        return {name for one in data["storages"].values() for name in one["volumes"]}
