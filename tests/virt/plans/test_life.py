"""A machine's whole life on the simulated driver: each plan does what it says, on the host and in the rows."""

from dataclasses import replace

import pytest

from broker.core.errors import Busy, Conflict
from broker.events.models import Event
from broker.jobs.plans import PLANS
from broker.jobs.runner import Runner
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.edit_vm import edit_vm
from broker.virt.actions.maintain_host import maintain_host
from broker.virt.actions.pause_vm import pause_vm
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.reboot_vm import reboot_vm
from broker.virt.actions.reset_disks import reset_disks
from broker.virt.actions.reset_vm import reset_vm
from broker.virt.actions.resume_vm import resume_vm
from broker.virt.actions.shutdown_vm import shutdown_vm
from broker.virt.actions.start_vm import start_vm
from broker.virt.actions.suspend_vm import suspend_vm
from broker.virt.driver import HostUnreachable, NoSpace, Refused
from broker.virt.models import Host, TemplateVersion, VirtualMachine
from broker.virt.specs import storage_spec, volume_path
from tests.virt.actions.stage import SYSTEM, done, ended, fresh


def test_create_makes_an_overlay_and_a_definition(stage):
    vm = stage.make(title="Alice's desk")
    disk = vm.disks.get()
    assert (vm.state, vm.power_state, vm.host) == ("ready", "off", stage.world.host)
    assert stage.machines() == {"desk-1": "off"}
    assert stage.volumes() == {f"{disk.id}.0.qcow2"}
    volume = stage.line.volume(storage_spec(stage.world.storage), disk.volume)
    assert volume.backing == volume_path(stage.world.storage, stage.world.version.volume)
    assert vm.definition == vm.observed_definition != ""
    assert Event.objects.filter(kind="vm.created", subject_id=vm.pk).count() == 1


def test_create_a_full_copy_without_backing(stage):
    vm = stage.make(linked=False)
    assert stage.line.volume(storage_spec(stage.world.storage), vm.disks.get().volume).backing == ""


def test_create_and_start_at_once(stage):
    assert stage.make(start=True).power_state == "running"


def test_create_that_cannot_start_leaves_a_machine(stage):
    stage.sim.fail_next("start", Refused("no"))
    vm = stage.make(start=True)
    assert (vm.state, vm.power_state) == ("ready", "off")
    assert Event.objects.get(kind="vm.not-started").severity == "warning"


@pytest.mark.parametrize("verb", ["create_volume", "define"])
def test_create_that_fails_leaves_nothing(stage, verb):
    stage.sim.fail_next(verb, NoSpace("full"))
    job = ended(create_vm(actor=SYSTEM, name="desk-1", version=stage.world.version))
    assert (job.state, job.error["code"]) == ("failed", "no-space")
    assert not VirtualMachine.objects.exists()
    assert (stage.volumes(), stage.machines()) == (set(), {})


def test_create_beside_a_foreign_machine_of_that_name_is_refused_and_leaves_it(stage):
    stage.sim.add_foreign("desk-1", power="running")
    job = ended(create_vm(actor=SYSTEM, name="desk-1", version=stage.world.version))
    assert (job.state, stage.machines(), stage.volumes()) == ("failed", {"desk-1": "running"}, set())
    assert "that Berth did not make" in job.cause
    assert not VirtualMachine.objects.exists()


def test_create_waits_for_a_host_that_is_away_for_a_moment(stage):
    stage.sim.fail_next("create_volume", HostUnreachable("away"), times=2)
    assert stage.make().state == "ready"


def test_no_capacity_says_why(stage, monkeypatch):
    Host.objects.update(memory_free_bytes=1 << 20)
    monkeypatch.setitem(PLANS._items, "vm.create", replace(PLANS.get("vm.create"), patience=0.0))
    job = ended(create_vm(actor=SYSTEM, name="desk-1", version=stage.world.version))
    assert job.error["code"] == "no-capacity"
    assert [reason["rule"] for reason in job.error["reasons"]] == ["memory"]
    assert not VirtualMachine.objects.exists()


def test_power_verbs(stage):
    vm = stage.make()
    for action, power in (
        (start_vm, "running"), (pause_vm, "paused"), (resume_vm, "running"), (reboot_vm, "running"),
        (reset_vm, "running"), (suspend_vm, "suspended"), (start_vm, "running"), (shutdown_vm, "off"),
        (start_vm, "running"), (power_off_vm, "off"), (start_vm, "running"), (suspend_vm, "suspended"),
        (power_off_vm, "off"),
    ):  # fmt: skip
        done(action(actor=SYSTEM, vm=fresh(vm)))
        assert (action.__name__, fresh(vm).power_state) == (action.__name__, power)
        assert stage.machines() == {"desk-1": power}
    assert not Event.objects.filter(kind__startswith="vm.changed-outside").exists()


def test_verbs_are_refused_in_the_wrong_power_state(stage):
    vm = stage.make()
    for action in (pause_vm, resume_vm, suspend_vm, reboot_vm, reset_vm, shutdown_vm, power_off_vm):
        with pytest.raises(Conflict) as caught:
            action(actor=SYSTEM, vm=fresh(vm))
        assert "start it first" in caught.value.fix
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    with pytest.raises(Conflict):
        start_vm(actor=SYSTEM, vm=fresh(vm))


def test_one_job_at_a_time(stage):
    vm = stage.make()
    start_vm(actor=SYSTEM, vm=vm)
    with pytest.raises(Busy):
        start_vm(actor=SYSTEM, vm=vm)
    with pytest.raises(Busy):
        delete_vm(actor=SYSTEM, vm=vm)
    assert fresh(vm).state == "ready"


def test_shutdown_of_a_deaf_guest_asks_the_agent_and_then_offers_power_off(stage):
    vm = stage.make(start=True)
    stage.sim.ignore_power_button(str(vm.pk))
    done(shutdown_vm(actor=SYSTEM, vm=vm, agent_after=0, give_up_after=30))
    assert fresh(vm).power_state == "off"
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    stage.sim.lose_agent(str(vm.pk))
    stage.sim.ignore_power_button(str(vm.pk))
    job = ended(shutdown_vm(actor=SYSTEM, vm=fresh(vm), agent_after=0, give_up_after=1))
    assert (job.state, job.error["code"]) == ("failed", "still-running")
    assert "power it off" in job.fix
    assert stage.machines() == {"desk-1": "running"}


def test_start_brings_the_definition_up_to_date(stage):
    vm = stage.make()
    edit_vm(actor=SYSTEM, vm=vm, vcpus=3, memory_mib=768, title="Bigger")
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    seen = stage.line.observe_one(str(vm.pk))
    assert (seen.vcpus, seen.memory) == (3, 768 << 20)


def test_start_defines_again_what_somebody_removed(stage):
    vm = stage.make()
    stage.line.undefine(str(vm.pk))
    done(start_vm(actor=SYSTEM, vm=vm))
    assert stage.machines() == {"desk-1": "running"}


def test_start_of_a_machine_on_a_host_in_maintenance_goes_to_another(stage):
    vm = stage.make()
    other = Host.objects.create(
        cluster=stage.world.cluster, name="host-2", driver="simulated", uri=stage.world.host.uri + "b", graphics=["vnc"]
    )
    maintain_host(actor=SYSTEM, host=stage.world.host)
    done(start_vm(actor=SYSTEM, vm=vm))
    assert fresh(vm).host == other
    assert stage.machines() == {}


def test_start_stays_where_local_disks_are(stage):
    vm = stage.make()
    stage.world.storage.host = stage.world.host
    stage.world.storage.save()
    Host.objects.create(cluster=stage.world.cluster, name="host-2", driver="simulated", uri=stage.world.host.uri + "b")
    maintain_host(actor=SYSTEM, host=stage.world.host)
    job = start_vm(actor=SYSTEM, vm=vm)
    Runner().run(job.pk)
    job.refresh_from_db()
    assert job.state == "waiting"
    assert fresh(vm).host == stage.world.host


@pytest.mark.parametrize("start", [False, True])
def test_delete_leaves_nothing(stage, start):
    vm, other = stage.make("one", start=start), stage.make("two")
    done(delete_vm(actor=SYSTEM, vm=vm))
    assert stage.machines() == {"two": "off"}
    assert stage.volumes() == {other.disks.get().volume}
    assert list(VirtualMachine.objects.all()) == [other]
    assert Event.objects.get(kind="vm.deleted").subject_name == "one"


def test_delete_that_cannot_remove_the_disk_leaves_a_broken_machine_that_can_be_deleted(stage):
    vm = stage.make()
    stage.sim.fail_next("delete_volume", Refused("locked"))
    assert ended(delete_vm(actor=SYSTEM, vm=vm)).state == "failed"
    assert fresh(vm).state == "broken"
    done(delete_vm(actor=SYSTEM, vm=fresh(vm)))
    assert (stage.volumes(), VirtualMachine.objects.count()) == (set(), 0)


def test_delete_that_stops_early_keeps_the_machine(stage):
    vm = stage.make()
    stage.sim.fail_next("undefine", Refused("no"))
    assert ended(delete_vm(actor=SYSTEM, vm=vm)).state == "failed"
    assert fresh(vm).state == "ready"
    assert stage.machines() == {"desk-1": "off"}


@pytest.mark.parametrize("start", [False, True])
def test_reset_swaps_the_overlay_of_this_machine_alone(stage, start):
    vm, other = stage.make("one", start=True), stage.make("two")
    old = vm.disks.get()
    done(reset_disks(actor=SYSTEM, vm=vm, start=start))
    new = fresh(vm).disks.get()
    assert (new.pk, new.generation, new.volume) == (old.pk, 1, f"{old.pk}.1.qcow2")
    assert stage.volumes() == {new.volume, other.disks.get().volume}
    assert stage.machines() == {"one": "running" if start else "off", "two": "off"}
    with stage.sim.changing() as data:
        assert new.volume in str(data["machines"][str(vm.pk)]["definition"])


def test_reset_to_another_version(stage):
    vm, world = stage.make(), stage.world
    newer = TemplateVersion.objects.create(
        template=world.template, number=2, state="ready", storage=world.storage, volume="v2.qcow2", size_bytes=8 << 30
    )
    stage.line.create_volume(storage_spec(world.storage), "v2.qcow2", capacity=8 << 30)
    done(reset_disks(actor=SYSTEM, vm=vm, version=newer))
    volume = stage.line.volume(storage_spec(world.storage), vm.disks.get().volume)
    assert (volume.backing, volume.capacity) == (volume_path(world.storage, "v2.qcow2"), 8 << 30)
    assert fresh(vm).template_version == newer


def test_reset_that_fails_keeps_the_old_disk(stage):
    vm = stage.make()
    before = vm.disks.get()
    stage.sim.fail_next("define", Refused("no"))
    assert ended(reset_disks(actor=SYSTEM, vm=vm)).state == "failed"
    after = vm.disks.get()
    assert (after.volume, after.generation) == (before.volume, 0)
    assert stage.volumes() == {before.volume}
    done(reset_disks(actor=SYSTEM, vm=fresh(vm)))


def test_an_old_disk_that_cannot_be_removed_is_told_of(stage):
    vm = stage.make()
    stage.sim.fail_next("delete_volume", Refused("locked"))
    done(reset_disks(actor=SYSTEM, vm=vm))
    assert Event.objects.get(kind="vm.disk-left").severity == "warning"


def test_a_full_copy_has_nothing_to_be_reset_to(stage):
    with pytest.raises(Conflict):
        reset_disks(actor=SYSTEM, vm=stage.make(linked=False))
