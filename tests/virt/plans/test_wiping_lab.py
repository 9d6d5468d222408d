"""A real machine's files are overwritten before they go; they are looked at by second names that nobody else knows."""

import hashlib
from pathlib import Path

import pytest

from broker.virt.actions.create_disk import create_disk
from broker.virt.actions.delete_snapshot import delete_snapshot
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.edit_disk import edit_disk
from broker.virt.actions.edit_storage import edit_storage
from broker.virt.actions.take_snapshot import take_snapshot
from tests.virt.actions.stage import SYSTEM, done, fresh
from tests.virt.plans.test_disks_lab import well
from tests.virt.plans.test_lab import lab_up, real  # noqa: F401 - a fixture

pytestmark = pytest.mark.lab


def second_names(real, where: Path) -> dict[str, Path]:  # noqa: F811
    """One for each file that is not the template's."""
    names = {name: where / name for name in real.files() if (real.disks / name).is_file()}
    for name, other in names.items():
        other.hardlink_to(real.disks / name)
    return names


@pytest.fixture
def aside(real):  # noqa: F811
    """A directory on the storage's file system that libvirt does not look into."""
    made = real.disks.parent / f"aside-{real.disks.name}"
    made.mkdir()
    return made


def test_all_of_a_machine_is_overwritten_and_nothing_of_its_template(real, aside):  # noqa: F811
    vm = real.make("wiped", start=True)
    lab_up(real, vm)
    edit_disk(actor=SYSTEM, disk=vm.disks.get(), wipe_after_delete="on")
    well(create_disk(actor=SYSTEM, vm=fresh(vm), size_bytes=1 << 20))  # as its storage says: only deleted
    image = hashlib.sha256((real.disks / real.version.volume).read_bytes()).hexdigest()
    first = vm.disks.get(target="vda").volume
    well(take_snapshot(actor=SYSTEM, vm=fresh(vm), name="one", memory=True))
    kept = second_names(real, aside)
    disks = {target: vm.disks.get(target=target).volume for target in ("vda", "vdb")}
    memory = vm.snapshots.get().memory
    assert {first, *disks.values(), memory} <= kept.keys()
    assert all(any(kept[name].read_bytes()) for name in kept)
    done(delete_vm(actor=SYSTEM, vm=fresh(vm)))
    assert real.files() == set()
    assert {name for name in (first, disks["vda"], memory) if any(kept[name].read_bytes())} == set()
    assert any(kept[disks["vdb"]].read_bytes())
    assert hashlib.sha256((real.disks / real.version.volume).read_bytes()).hexdigest() == image


def test_a_merged_layer_is_overwritten_while_its_machine_runs_on(real, aside):  # noqa: F811
    edit_storage(actor=SYSTEM, storage=real.storage, wipe_after_delete=True)
    vm = real.make("merged", start=True)
    lab_up(real, vm)
    well(take_snapshot(actor=SYSTEM, vm=fresh(vm), name="one"))
    kept, top = second_names(real, aside), vm.disks.get().volume
    well(delete_snapshot(actor=SYSTEM, snapshot=vm.snapshots.get()))
    lab_up(real, vm)
    assert top != vm.disks.get().volume and not any(kept[top].read_bytes())
    assert any(kept[vm.disks.get().volume].read_bytes())
    done(delete_vm(actor=SYSTEM, vm=fresh(vm)))
    assert not any(any(other.read_bytes()) for other in kept.values())
