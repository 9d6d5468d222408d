"""A template version from a machine, over the simulated driver; on real images: tests/virt/plans/test_make_lab.py."""

from typing import Any

import pytest

from broker.core.errors import Busy, Conflict, Invalid
from broker.events.models import Event
from broker.jobs.models import Job
from broker.virt.actions.create_instance_type import create_instance_type
from broker.virt.actions.create_template import create_template
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.delete_template import delete_template
from broker.virt.actions.delete_template_version import delete_template_version
from broker.virt.actions.make_template_version import make_template_version
from broker.virt.actions.start_vm import start_vm
from broker.virt.driver import NoSpace, Refused
from broker.virt.drivers.simulated import backups as simulated_backups
from broker.virt.models import Cluster, StorageDomain, TemplateVersion, VirtualMachine
from broker.virt.reconcile import reconcile
from broker.virt.states import VersionState
from tests.jobs_help import run_all
from tests.virt.actions.stage import SYSTEM, done, ended, fresh


def made(job: Job) -> TemplateVersion:
    return TemplateVersion.objects.get(pk=job.args["version"])


def test_the_next_version_of_the_machines_own_template(stage):
    vm = stage.make()
    job = done(make_template_version(actor=SYSTEM, vm=vm, notes="with an editor"))
    version = made(job)
    assert (version.number, version.state, version.notes, version.made_from) == (2, "ready", "with an editor", "desk-1")
    assert (version.vcpus, version.memory_mib, version.size_bytes) == (vm.vcpus, vm.memory_mib, 4 << 30)
    assert stage.volumes() == {version.volume, vm.disks.get().volume}
    assert Event.objects.filter(kind="template.made").count() == 1
    clone = stage.make("desk-2")
    assert clone.template_version == stage.world.version  # which is what `make` asks for


def test_what_could_not_be_sealed_is_written_on_the_version(stage):
    version = made(done(make_template_version(actor=SYSTEM, vm=stage.make())))
    assert version.sealing["outcome"] == "unsealed"
    assert version.sealing["left"]
    assert Event.objects.get(kind="template.made").severity == "warning"


def test_nobody_asked_for_sealing(stage):
    version = made(done(make_template_version(actor=SYSTEM, vm=stage.make(), seal=False)))
    assert version.sealing == {}
    assert Event.objects.get(kind="template.made").severity == "info"


def test_a_running_machine_is_refused_or_shut_down_and_started_again(stage):
    vm = stage.make(start=True)
    with pytest.raises(Conflict) as caught:
        make_template_version(actor=SYSTEM, vm=fresh(vm))
    assert "Shut it down" in caught.value.fix
    assert TemplateVersion.objects.count() == 1
    boot = stage.line.observe_one(str(vm.pk)).boot_id
    done(make_template_version(actor=SYSTEM, vm=fresh(vm), shut_down=True, inside=True))
    seen = stage.line.observe_one(str(vm.pk))
    assert seen.power == "running" and seen.boot_id != boot
    assert set(Event.objects.filter(subject_id=vm.pk).values_list("kind", flat=True)) >= {
        "vm.sealed-inside", "vm.shut-down", "vm.started"
    }  # fmt: skip


def test_a_running_machine_is_copied_while_it_runs_on(stage):
    vm = stage.make(start=True)
    boot = stage.line.observe_one(str(vm.pk)).boot_id
    with pytest.raises(Invalid) as caught:
        make_template_version(actor=SYSTEM, vm=fresh(vm), live=True, shut_down=True)
    assert caught.value.field == "live"
    version = made(done(make_template_version(actor=SYSTEM, vm=fresh(vm), live=True, inside=True)))
    assert version.state == "ready" and stage.volumes() == {version.volume, vm.disks.get().volume}
    assert stage.line.observe_one(str(vm.pk)).boot_id == boot
    assert stage.line.checkpoints(str(vm.pk)) == ()
    kinds = set(Event.objects.filter(subject_id=vm.pk).values_list("kind", flat=True))
    assert "vm.sealed-inside" in kinds and not kinds & {"vm.shut-down", "vm.not-started"}
    # Of a machine that is off nothing runs on.
    off = stage.make("desk-2")
    assert made(done(make_template_version(actor=SYSTEM, vm=off, live=True))).state == "ready"


@pytest.mark.parametrize("verb", ["create_volume", "begin_backup", "look_at_backup", "drop_checkpoint"])
def test_a_live_copy_that_fails_leaves_nothing(stage, verb):
    vm = stage.make(start=True)
    stage.sim.fail_next(verb, Refused("no") if verb != "create_volume" else NoSpace("full"))
    job = ended(make_template_version(actor=SYSTEM, vm=fresh(vm), live=True))
    if verb == "drop_checkpoint":  # what cannot be dropped is forgotten
        assert job.state == "succeeded"
    else:
        assert job.state == "failed" and TemplateVersion.objects.count() == 1
        assert stage.volumes() == {vm.disks.get().volume}
    assert stage.machines()["desk-1"] == "running" and stage.line.checkpoints(str(vm.pk)) == ()


def test_a_live_copy_of_a_machine_that_stops_meanwhile_is_no_version(stage, monkeypatch):
    vm = stage.make(start=True)
    job = make_template_version(actor=SYSTEM, vm=fresh(vm), live=True)
    begun = simulated_backups.BackingUp.begin_backup

    def and_stop(self, uuid, *args, **kwargs):
        begun(self, uuid, *args, **kwargs)
        self.power_off(uuid)
        return False

    monkeypatch.setattr(simulated_backups.BackingUp, "begin_backup", and_stop)
    assert ended(job).state == "failed" and "stopped" in job.cause
    assert TemplateVersion.objects.count() == 1 and stage.volumes() == {vm.disks.get().volume}


def test_without_an_agent_nothing_is_sealed_inside_and_nothing_is_left(stage):
    vm = stage.make(start=True)
    stage.sim.lose_agent(str(vm.pk))
    job = ended(make_template_version(actor=SYSTEM, vm=fresh(vm), shut_down=True, inside=True))
    assert job.state == "failed" and "agent" in job.cause
    assert TemplateVersion.objects.count() == 1
    assert stage.machines()["desk-1"] == "running"


def test_inside_needs_a_running_machine(stage):
    with pytest.raises(Conflict):
        make_template_version(actor=SYSTEM, vm=stage.make(), inside=True)


def test_a_guest_that_does_not_go_keeps_running_and_no_version_is_made(stage):
    vm = stage.make(start=True)
    stage.sim.ignore_power_button(str(vm.pk))
    stage.sim.lose_agent(str(vm.pk))
    job = make_template_version(actor=SYSTEM, vm=fresh(vm), shut_down=True)
    job.args["give_up_after"] = 0
    job.save()
    assert ended(job).state == "failed"
    assert TemplateVersion.objects.count() == 1
    assert stage.machines()["desk-1"] == "running"


def test_a_full_storage_leaves_nothing_and_starts_the_machine_again(stage):
    vm = stage.make(start=True)
    stage.sim.fail_next("copy_volume", NoSpace("full"))
    job = ended(make_template_version(actor=SYSTEM, vm=fresh(vm), shut_down=True))
    assert job.state == "failed"
    assert TemplateVersion.objects.count() == 1
    assert stage.volumes() == {vm.disks.get().volume}
    assert stage.machines()["desk-1"] == "running"


def test_the_machine_is_held_while_it_is_copied(stage):
    vm = stage.make()
    job = make_template_version(actor=SYSTEM, vm=vm)
    with pytest.raises(Busy):
        start_vm(actor=SYSTEM, vm=fresh(vm))
    with pytest.raises(Busy) as caught:
        delete_template_version(actor=SYSTEM, version=made(job))
    assert "desk-1" in caught.value.message
    done(job)


def test_a_version_whose_job_broke_off_is_removed(stage):
    vm = stage.make()
    job = make_template_version(actor=SYSTEM, vm=vm)
    version = made(job)
    Job.objects.filter(pk=job.pk).update(state="errored")
    old = version.created_at.replace(year=2020)
    TemplateVersion.objects.filter(pk=version.pk).update(created_at=old)
    reconcile()
    assert TemplateVersion.objects.get(pk=version.pk).state == VersionState.DELETING
    run_all()
    assert not TemplateVersion.objects.filter(pk=version.pk).exists()


def test_another_template_of_the_cluster_and_of_no_other(stage):
    vm, world = stage.make(), stage.world
    other = create_template(actor=SYSTEM, cluster=world.cluster, name="other")
    version = made(done(make_template_version(actor=SYSTEM, vm=vm, template=other)))
    assert (version.template, version.number, version.storage) == (other, 1, world.storage)
    second = Cluster.objects.create(name="second")
    foreign = create_template(actor=SYSTEM, cluster=second, name="foreign")
    far = StorageDomain.objects.create(cluster=second, name="far", path="/far")
    for wish in ({"template": foreign}, {"storage": far}):
        with pytest.raises(Invalid) as caught:
            make_template_version(actor=SYSTEM, vm=vm, **wish)
        assert caught.value.field == next(iter(wish))


def test_a_template_with_thirty_clones_is_refused_with_their_names(stage):
    """F29."""
    clones = [stage.make(f"desk-{number}") for number in range(1, 31)]
    world = stage.world
    for action, wish in (
        (delete_template, {"template": world.template}),
        (delete_template_version, {"version": world.version}),
    ):
        with pytest.raises(Conflict) as caught:
            action(actor=SYSTEM, **wish)
        assert "30 " in caught.value.message and "(+25)" in caught.value.message
        assert [(one.kind, one.count) for one in caught.value.counts] == [("vm", 30)]
        assert 5 <= len(caught.value.reasons) <= 20
    assert {one.name for one in clones} == {one.name for one in stage.line.observe()}
    assert TemplateVersion.objects.get().state == "ready"


def test_a_refusal_names_only_what_its_reader_may_see(stage):
    seen, hidden = stage.make("seen"), stage.make("hidden")
    world = stage.world
    world.grant(world.alice, "template-admin", world.template)
    world.grant(world.alice, "vm-user", seen)
    with pytest.raises(Conflict) as caught:
        delete_template_version(actor=world.actor("alice"), version=world.version)
    assert "seen" in caught.value.message and "2 " in caught.value.message
    assert hidden.name not in str(caught.value.as_dict())


def test_machines_made_from_a_version_have_its_hardware(stage):
    """A system installed under UEFI does not start under a BIOS."""
    golden = stage.make(
        "golden", vcpus=2, options={"firmware": "uefi", "tpm": True, "cores": 2, "private_screens": True}
    )  # fmt: skip
    version = made(done(make_template_version(actor=SYSTEM, vm=golden)))
    assert version.options == {"firmware": "uefi", "tpm": True, "cores": 2}

    def hardware(name: str, **wishes: Any) -> dict[str, Any]:
        job = done(create_vm(actor=SYSTEM, name=name, version=version, **wishes))
        return dict(VirtualMachine.objects.get(pk=job.subject_id).options)

    assert hardware("same") == version.options
    assert hardware("larger", vcpus=3) == {"firmware": "uefi", "tpm": True}
    assert hardware("other", options={"tpm": False, "sound": True}) == {**version.options, "tpm": False, "sound": True}
    kind = create_instance_type(actor=SYSTEM, name="huge", vcpus=4, memory_mib=4096, options={"max_vcpus": 8})
    assert hardware("typed", instance_type=kind) == {"firmware": "uefi", "tpm": True, "max_vcpus": 8}
