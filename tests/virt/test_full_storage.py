"""A machine paused for lack of space says so, and goes on when there is room: first simulated, then on a real one."""

import json
import subprocess
from pathlib import Path

import pytest
from django.test import Client

from broker.events.models import Event
from broker.jobs.models import Job
from broker.virt import full_storage, hosts
from broker.virt.actions.create_storage import create_storage
from broker.virt.actions.edit_storage import edit_storage
from broker.virt.actions.pause_vm import pause_vm
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.start_vm import start_vm
from broker.virt.actions.take_snapshot import take_snapshot
from broker.virt.driver import PowerState
from broker.virt.drivers.simulated import storage as simulated_storage
from broker.virt.observe import apply
from tests.jobs_help import finish
from tests.lab.fixtures import wait_for_power
from tests.virt.actions.stage import SYSTEM, Stage, done, fresh
from tests.virt.plans.test_lab import real  # noqa: F401 - a fixture


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
    assert full_storage.resume_full() == 0
    monkeypatch.undo()
    assert full_storage.resume_full() == 1
    assert full_storage.resume_full() == 0  # it is being done
    done(Job.objects.get(plan="vm.resume"))
    assert fresh(vm).power_state == "running"
    done(pause_vm(actor=SYSTEM, vm=fresh(vm)))
    Job.objects.filter(plan="vm.resume").delete()
    assert full_storage.resume_full() == 0  # somebody wants it paused


def test_a_host_that_does_not_answer_is_waited_for(stage):
    vm = stage.make(start=True)
    stage.sim.fill(str(vm.pk))
    look(stage.world, stage.line, vm)
    stage.sim.unplug()
    assert full_storage.resume_full() == 0
    hosts.forget(stage.world.host)


@pytest.fixture
def small(lab_host, tmp_path):
    """A file system of 6 MiB in the world of the host, gone with it, and the way there from here."""
    place = tmp_path / "small"
    place.mkdir()
    inside(lab_host, "mount", "-t", "tmpfs", "-o", "size=6M", "tmpfs", str(place))
    return place, Path(f"/proc/{lab_host.init_pid}/root{place}")


def inside(lab_host, *command):
    asked = ["nsenter", "-t", str(lab_host.init_pid), "-m", *command]
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
    assert full_storage.resume_full() == 0
    filler.unlink()
    assert full_storage.resume_full() == 1
    job = finish(Job.objects.get(plan="vm.resume", subject_id=vm.pk))
    assert job.state == "succeeded", job.cause
    assert real.line.observe_one(str(vm.pk)).power == "running"
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    disk = vm.disks.get()
    assert Path(disk.path).parent == place
    told = inside(lab_host, "qemu-img", "check", "--output=json", disk.path)
    assert json.loads(told)["check-errors"] == 0
