"""One action for several machines: one job, a result for each, and nobody's rights but one's own."""

import pytest
from django.test import Client
from django.urls import reverse

from broker.core.errors import Denied, Invalid, Missing
from broker.jobs.models import Job
from broker.virt.actions.act_on_machines import act_on_machines
from broker.virt.actions.create_vm import create_vm
from broker.virt.models import Batch, VirtualMachine
from tests.jobs_help import run_all


@pytest.fixture
def machines(stage):
    for name in ("one", "two", "three"):
        create_vm(actor=stage.world.actor("root"), name=name, version=stage.world.version, start=name == "three")
    run_all()
    return {vm.name: vm for vm in VirtualMachine.objects.all()}


def results(job) -> dict[str, str]:
    batch = Batch.objects.get(pk=job.subject_id)
    return {one["name"]: one["state"] for one in batch.results.values()}


def test_each_machine_has_a_result_and_what_one_refuses_keeps_no_other(stage, machines):
    job = act_on_machines(actor=stage.world.actor("root"), verb="start", machines=[m.pk for m in machines.values()])
    assert set(results(job).values()) == {"waiting"}
    run_all()
    job.refresh_from_db()
    assert job.state == "succeeded" and job.progress == 100
    assert results(job) == {"one": "done", "two": "done", "three": "refused"}
    refused = next(one for one in Batch.objects.get().results.values() if one["state"] == "refused")
    assert refused["error"]["rule"] and refused["error"]["fix"]
    assert set(VirtualMachine.objects.values_list("power_state", flat=True)) == {"running"}
    begun = Job.objects.filter(plan="vm.start", correlation=str(job.pk))
    assert {one.subject_name for one in begun} == {"one", "two"} and {one.actor_name for one in begun} == {"root"}


def test_only_what_one_may_is_done(stage, machines):
    world = stage.world
    world.grant(world.alice, "vm-user", machines["one"])
    world.grant(world.alice, "viewer", machines["two"])
    with pytest.raises(Missing):
        act_on_machines(actor=world.actor("alice"), verb="start", machines=[m.pk for m in machines.values()])
    with pytest.raises(Denied):
        act_on_machines(actor=world.actor("alice"), verb="start", machines=[machines["two"].pk])
    with pytest.raises(Invalid):
        act_on_machines(actor=world.actor("alice"), verb="explode", machines=[machines["one"].pk])
    with pytest.raises(Invalid):
        act_on_machines(actor=world.actor("alice"), verb="start", machines=[])
    both = [machines["one"].pk, machines["two"].pk]
    job = act_on_machines(actor=world.actor("alice"), verb="start", machines=both)
    run_all()
    assert results(job) == {"one": "done", "two": "refused"}
    machines["two"].refresh_from_db()
    assert machines["two"].power_state == "off"


def test_several_get_a_snapshot_and_one_cannot_move(stage, machines):
    everybody = [m.pk for m in machines.values()]
    job = act_on_machines(actor=stage.world.actor("root"), verb="snapshot", machines=everybody)
    run_all()
    assert set(results(job).values()) == {"done"}
    assert {vm.snapshots.count() for vm in machines.values()} == {1}
    job = act_on_machines(actor=stage.world.actor("root"), verb="migrate", machines=[machines["three"].pk])
    run_all()
    assert results(job) == {"three": "refused"}, "there is one host only"
    stage.world.grant(stage.world.alice, "vm-user", machines["one"])
    with pytest.raises(Denied):
        act_on_machines(actor=stage.world.actor("alice"), verb="snapshot", machines=[machines["one"].pk])
    browser = Client()
    browser.force_login(stage.world.root)
    assert "Migrate: 1 machine" in browser.get(reverse("portal:batch", args=[job.subject_id])).content.decode()
    offered = browser.get(reverse("portal:vms")).content.decode()
    assert 'value="snapshot"' in offered and 'value="migrate"' in offered
