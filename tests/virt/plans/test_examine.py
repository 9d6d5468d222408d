"""The chain doctor over chains broken on purpose: each difference is explained, and only the safe is mended."""

import pytest
from django.test import Client

from broker.virt.actions.examine_disks import examine_disks
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.revert_snapshot import revert_snapshot
from broker.virt.actions.take_snapshot import take_snapshot
from broker.virt.chains import Account, compare
from broker.virt.specs import storage_spec
from tests.virt.actions.stage import SYSTEM, done, fresh


def look(vm, **wish):
    return done(examine_disks(actor=SYSTEM, vm=fresh(vm), **wish)).args


def kinds(args):
    return [one["kind"] for one in args["findings"]]


@pytest.fixture
def vm(stage):
    """Running, on a snapshot."""
    vm = stage.make(start=True)
    done(take_snapshot(actor=SYSTEM, vm=fresh(vm), name="one"))
    return vm


def test_a_whole_machine_has_no_findings_running_and_off(stage, vm):
    assert kinds(look(vm)) == []
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    assert kinds(look(vm, mend=True)) == []


def test_a_definition_that_names_another_image_is_mended(stage, vm):
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    disk = vm.disks.get()
    with stage.sim.changing() as data:
        data["machines"][str(vm.pk)]["definition"]["disks"][0]["path"] = f"{disk.storage.path}/{disk.below}"
    args = look(vm)
    assert kinds(args) == ["definition"] and args["findings"][0]["mendable"]
    before = stage.line.checksum(storage_spec(disk.storage), disk.volume)
    args = look(vm, mend=True)
    assert kinds(args) == [] and [one["kind"] for one in args["mended"]] == ["definition"]
    assert stage.line.chain(str(vm.pk), "vda")[0].endswith(disk.volume)
    assert stage.line.checksum(storage_spec(disk.storage), disk.volume) == before


def test_a_lost_image_a_wrong_backing_and_a_left_over_are_told_and_left_alone(stage, vm):
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    disk = vm.disks.get()
    with stage.sim.changing() as data:
        volumes = data["storages"][disk.storage.path]["volumes"]
        volumes[f"{disk.pk}.9.qcow2"] = {"capacity": 1, "allocation": 1, "backing": ""}
        volumes[disk.volume]["backing"] = f"{disk.storage.path}/{disk.pk}.7.qcow2"
        del volumes[disk.below]
    before = stage.volumes()
    assert sorted(kinds(look(vm, mend=True))) == ["backing", "left-over", "missing"]
    assert stage.volumes() == before


def test_a_state_beside_the_present_one_is_not_taken_for_left_over(stage, vm):
    done(take_snapshot(actor=SYSTEM, vm=fresh(vm), name="two"))
    done(revert_snapshot(actor=SYSTEM, snapshot=vm.snapshots.get(name="one")))
    assert kinds(look(vm)) == []


def test_what_runs_elsewhere_is_told_and_not_mended(stage, vm):
    disk = vm.disks.get()
    other = f"{disk.storage.path}/theirs.qcow2"
    stage.line.freeze_disks(str(vm.pk), {"vda": other})
    args = look(vm, mend=True)
    assert kinds(args) == ["writes-elsewhere"] and not args["findings"][0]["mendable"]
    assert stage.line.chain(str(vm.pk), "vda")[0] == other
    browser = Client()
    browser.force_login(stage.world.root)
    page = browser.get(f"/vms/{vm.pk}/disks/").content.decode()
    assert "behind Berth" in page and "theirs.qcow2" in page
    assert browser.post(f"/vms/{vm.pk}/disks/examine").status_code == 302


def test_what_qemu_has_open_and_what_the_files_say():
    account = Account("vda", "/d", ("id.1", "id.0"), ("/d/id.1", "/d/base"), running=True, own="id.")
    files = {"/d/id.1": "/d/id.0", "/d/id.0": "/d/base", "/d/base": ""}
    (found,) = compare(account, files)
    assert (found.kind, found.params["real"]) == ("open", "id.1 ← id.0 ← base")
    (found,) = compare(
        Account("vda", "/d", ("id.1",), ("/d/id.1",), running=False, own="id."), {"/d/id.1": "/gone/base"}
    )
    assert found.kind == "base"
