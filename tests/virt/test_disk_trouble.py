"""Machines whose disks are full or fail: what is said and what is done about it, simulated and on real ones."""

import json
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client

from broker.core import clock
from broker.core.errors import Invalid
from broker.events.models import Event
from broker.jobs.models import Job
from broker.virt import disk_trouble, hosts
from broker.virt.actions.create_storage import create_storage
from broker.virt.actions.edit_storage import edit_storage
from broker.virt.actions.edit_vm import edit_vm
from broker.virt.actions.pause_vm import pause_vm
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.start_vm import start_vm
from broker.virt.actions.take_snapshot import take_snapshot
from broker.virt.driver import IO_ERROR, NO_SPACE, PowerState
from broker.virt.drivers.simulated import storage as simulated_storage
from broker.virt.models import Recovery, StorageAttachment, VirtualMachine
from broker.virt.observe import apply
from tests.jobs_help import finish, run_all
from tests.lab.fixtures import wait_for_power
from tests.virt.actions.stage import SYSTEM, Stage, done, fresh
from tests.virt.iscsi.wait import until
from tests.virt.plans.test_lab import lab_up, real  # noqa: F401 - a fixture


@pytest.fixture
def stage(db, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return Stage()


def look(world, line, vm):
    """What the monitor does when it is told of a change."""
    seen = line.observe_one(str(vm.pk))
    apply(world.host, [seen])
    return seen


def test_it_is_shown_and_goes_on_when_there_is_room(stage, monkeypatch):
    vm = stage.make(start=True)
    stage.sim.fill(str(vm.pk))
    assert look(stage.world, stage.line, vm).reason == "no space"
    assert Event.objects.get(kind="vm.no-space").severity == "error"
    browser = Client()
    browser.force_login(stage.world.root)
    assert b"its storage is full" in browser.get(f"/vms/{vm.pk}/").content
    monkeypatch.setattr(simulated_storage, "CAPACITY", 1 << 20)
    assert disk_trouble.see_to_paused() == 0
    monkeypatch.undo()
    assert disk_trouble.see_to_paused() == 1
    assert disk_trouble.see_to_paused() == 0  # it is being done
    done(Job.objects.get(plan="vm.resume"))
    assert fresh(vm).power_state == "running"
    done(pause_vm(actor=SYSTEM, vm=fresh(vm)))
    Job.objects.filter(plan="vm.resume").delete()
    assert disk_trouble.see_to_paused() == 0  # somebody wants it paused


def test_a_host_that_does_not_answer_is_waited_for(stage):
    vm = stage.make(start=True)
    stage.sim.fill(str(vm.pk))
    look(stage.world, stage.line, vm)
    stage.sim.unplug()
    assert disk_trouble.see_to_paused() == 0
    hosts.forget(stage.world.host)


@pytest.fixture
def small(lab_host, tmp_path):
    """A file system of 6 MiB in the world of the host, gone with it, and the way there from here."""
    place = tmp_path / "small"
    place.mkdir()
    inside(lab_host, "mount", "-t", "tmpfs", "-o", "size=6M", "tmpfs", str(place))
    return place, Path(f"/proc/{lab_host.init_pid}/root{place}")


def inside(lab_host, *command):
    asked = ["nsenter", "-t", str(lab_host.init_pid), "-m", "-p", *command]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout


@pytest.mark.lab
def test_a_real_guest_whose_storage_is_full(real, lab_host, small):  # noqa: F811
    """Fault F24 of docs/faults.md."""
    place, seen = small
    storage = create_storage(actor=SYSTEM, cluster=real.world.cluster, name="small", path=str(place))
    edit_storage(actor=SYSTEM, storage=storage, critical_percent=5)
    vm = real.make("full", storage=storage, linked=False)
    # what the guest writes now needs room
    assert finish(take_snapshot(actor=SYSTEM, vm=fresh(vm), name="one")).state == "succeeded"
    filler = seen / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\1" * 4096)
        except OSError:
            pass
    assert finish(start_vm(actor=SYSTEM, vm=fresh(vm))).state == "succeeded"
    wait_for_power(real.line, str(vm.pk), PowerState.PAUSED, timeout=60)
    apply(real.world.host, [real.line.observe_one(str(vm.pk))])
    assert (fresh(vm).power_state, fresh(vm).power_reason) == ("paused", "no space")
    assert disk_trouble.see_to_paused() == 0
    filler.unlink()
    assert disk_trouble.see_to_paused() == 1
    job = finish(Job.objects.get(plan="vm.resume", subject_id=vm.pk))
    assert job.state == "succeeded", job.cause
    assert real.line.observe_one(str(vm.pk)).power == "running"
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    disk = vm.disks.get()
    assert Path(disk.path).parent == place
    told = inside(lab_host, "qemu-img", "check", "--output=json", disk.path)
    assert json.loads(told)["check-errors"] == 0


@pytest.mark.parametrize(("policy", "done_about", "power"), [("pause", 0, "paused"), ("kill", 1, "off")])
@pytest.mark.parametrize("reason", [NO_SPACE, IO_ERROR])
def test_what_else_may_be_wanted(stage, policy, done_about, power, reason):
    vm = stage.make(start=True)
    edit_vm(actor=SYSTEM, vm=fresh(vm), on_error=policy)
    stage.sim.fill(str(vm.pk), reason=reason)
    look(stage.world, stage.line, vm)
    assert disk_trouble.see_to_paused() == done_about
    run_all()
    look(stage.world, stage.line, vm)
    assert fresh(vm).power_state == power
    assert disk_trouble.see_to_paused() == 0


def test_one_that_fails_goes_on_when_its_storage_is_well(stage):
    vm = stage.make(start=True)
    stage.sim.fill(str(vm.pk), reason=IO_ERROR)
    look(stage.world, stage.line, vm)
    wish = {"storage": stage.world.storage, "host": stage.world.host}
    StorageAttachment.objects.update_or_create(**wish, defaults={"error": "it hangs", "observed_at": clock.now()})
    assert disk_trouble.see_to_paused() == 0
    StorageAttachment.objects.update(error="")
    assert disk_trouble.see_to_paused() == 1
    assert Event.objects.filter(kind="vm.tried-again").exists()


def test_a_highly_available_one_that_was_killed_is_started_again_but_not_for_ever(stage):
    vm = stage.make(start=True)
    edit_vm(actor=SYSTEM, vm=fresh(vm), on_error="kill", available=True)
    for number in range(1, 8):
        VirtualMachine.objects.filter(pk=vm.pk).update(power_state="paused", power_reason=IO_ERROR)
        Job.objects.exclude(actor_name=disk_trouble.DUTY.name).delete()
        disk_trouble._kill(fresh(vm))
        run_all()
        VirtualMachine.objects.filter(pk=vm.pk).update(power_state="off")
        disk_trouble.start_killed()
        disk_trouble.start_killed()
        assert Recovery.objects.count() == min(number, 5)
        Recovery.objects.update(state="done")


def test_a_policy_that_there_is_not_is_refused(stage):
    vm = stage.make()
    with pytest.raises(Invalid) as caught:
        edit_vm(actor=SYSTEM, vm=vm, on_error="ignore")
    assert caught.value.field == "on_error" and "resume" in caught.value.fix % caught.value.params


@pytest.fixture
def failing(lab_host, tmp_path):
    """A file system whose files cannot be written for as long as one says so."""
    place, image = tmp_path / "failing", tmp_path / "failing.img"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(32 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    inside(lab_host, "mount", "-o", "loop", str(image), str(place))
    yield place
    inside(lab_host, "umount", "--lazy", str(place))


@pytest.mark.lab
def test_real_guests_whose_disks_fail(real, lab_host, failing, monkeypatch):  # noqa: F811
    """What each policy comes to, with QEMU: the host pauses or the guest is told; it goes on, waits or is ended."""
    storage = create_storage(actor=SYSTEM, cluster=real.world.cluster, name="failing", path=str(failing))
    edit_storage(actor=SYSTEM, storage=storage, critical_percent=0)
    machines = {}
    for policy in VirtualMachine.OnError.values:
        vm = machines[policy] = real.make(f"on-{policy}", storage=storage, linked=False)
        edit_vm(actor=SYSTEM, vm=fresh(vm), on_error=policy, available=policy == "kill")
        done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    for vm in machines.values():
        lab_up(real, vm)
    images = [disk.path for vm in machines.values() for disk in vm.disks.all()]

    def power() -> dict[str, str]:
        apply(real.world.host, [real.line.observe_one(str(vm.pk)) for vm in machines.values()])
        return {policy: fresh(vm).power_state for policy, vm in machines.items()}

    inside(lab_host, "chattr", "+i", *images)
    paused = dict.fromkeys(("resume", "pause", "kill"), "paused")
    until(lambda: power() == paused | {"report": "running"})
    assert {fresh(machines[policy]).power_reason for policy in paused} == {IO_ERROR}
    assert disk_trouble.see_to_paused() == 2
    run_all()
    until(lambda: power() == {"resume": "paused", "pause": "paused", "kill": "off", "report": "running"})
    assert disk_trouble.see_to_paused() == 0 and [row.vm for row in Recovery.objects.all()] == [machines["kill"]]

    inside(lab_host, "chattr", "-i", *images)
    monkeypatch.setattr(disk_trouble, "AGAIN_AFTER", timedelta(0))
    assert disk_trouble.see_to_paused() == 1
    run_all()
    assert power() == {"resume": "running", "pause": "paused", "kill": "off", "report": "running"}
    lab_up(real, machines["resume"])
    for vm in machines.values():
        if fresh(vm).power_state != "off":
            done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
