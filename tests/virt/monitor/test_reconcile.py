"""What must not stay as it is, is ended: by a new job, or by saying that it is broken."""

from datetime import timedelta

import pytest

from broker.core import clock
from broker.events.models import Event
from broker.jobs.models import Job
from broker.virt import reconcile
from broker.virt.models import Host, MonitorProcess, TemplateVersion, VirtualMachine
from tests.virt.monitor.help import machine

pytestmark = pytest.mark.django_db
LONG_AGO = timedelta(hours=3)


def job(vm, plan="vm.delete", kind="vm", *, ago=timedelta(minutes=5), state="errored", **fields) -> Job:
    then = clock.now() - ago
    return Job.objects.create(
        plan=plan, title=plan, subject_kind=kind, subject_id=vm.pk, subject_name=str(vm), actor_name="x", state=state,
        created_at=then, finished_at=None if state == "running" else then, **fields,
    )  # fmt: skip


def state(vm) -> str:
    return VirtualMachine.objects.values_list("state", flat=True).get(pk=vm.pk)


def active(vm) -> list[str]:
    return list(Job.objects.filter(subject_id=vm.pk, state="queued").values_list("plan", flat=True))


def test_unfinished_machine_without_a_job_is_broken_once(world):
    vm = machine(world, state="creating")
    reconcile.reconcile()
    reconcile.reconcile()
    assert state(vm) == "broken"
    assert list(Event.objects.filter(subject_id=vm.pk).values_list("kind", flat=True)) == ["vm.not-created"]


@pytest.mark.parametrize("fields", [{"state": "running"}, {"state": "succeeded", "ago": timedelta(seconds=2)}])
def test_a_job_at_work_or_just_done_is_left_its_time(world, fields):
    vm = machine(world, state="creating")
    job(vm, "vm.create", **fields)
    reconcile.reconcile()
    assert state(vm) == "creating"


def test_machine_just_accepted_is_left_alone(world):
    vm = machine(world, state="creating", created_at=clock.now())
    reconcile.reconcile()
    assert state(vm) == "creating"


def test_deleting_goes_on_with_what_was_given_and_gives_up_in_the_end(world):
    vm = machine(world, state="deleting")
    job(vm, args={"was": "ready"})
    reconcile.reconcile()
    reconcile.reconcile()
    assert active(vm) == ["vm.delete"]
    assert Job.objects.get(subject_id=vm.pk, state="queued").args == {"was": "ready"}
    past = clock.now() - timedelta(minutes=1)
    Job.objects.filter(subject_id=vm.pk).update(state="errored", finished_at=past)
    job(vm)
    reconcile.reconcile()
    assert state(vm) == "broken"
    assert active(vm) == []


def test_old_failures_do_not_count(world):
    vm = machine(world, state="deleting")
    for _ in range(5):
        job(vm, ago=LONG_AGO)
    reconcile.reconcile()
    assert active(vm) == ["vm.delete"]


def missing_machine(world, **fields):
    Host.objects.update(observed_at=clock.now())
    fields = {"power_state": "missing", "observed_at": clock.now() - LONG_AGO} | fields
    return machine(world, **fields)


def test_missing_machine_is_broken_after_a_while(world):
    vm = missing_machine(world)
    reconcile.reconcile()
    assert state(vm) == "broken"
    assert Event.objects.filter(kind="vm.missing", severity="error", subject_id=vm.pk).count() == 1


def test_missing_machine_is_not_broken_too_early_or_while_nobody_can_look(world):
    early = missing_machine(world, observed_at=clock.now() - timedelta(seconds=5))
    reconcile.reconcile()
    assert state(early) == "ready"
    VirtualMachine.objects.update(observed_at=clock.now() - LONG_AGO)
    Host.objects.update(error="It does not answer.")
    reconcile.reconcile()
    assert state(early) == "ready"


def test_forgotten_shutdown_and_unwatched_host(world):
    vm = machine(world, shutdown_asked_at=clock.now() - LONG_AGO)
    other = machine(world, "two", shutdown_asked_at=clock.now())
    reconcile.reconcile()
    assert VirtualMachine.objects.get(pk=vm.pk).shutdown_asked_at is None
    assert VirtualMachine.objects.get(pk=other.pk).shutdown_asked_at is not None
    assert Host.objects.get().error == reconcile.NOT_WATCHED
    Host.objects.update(error="")
    MonitorProcess.objects.create(name="a", seen_at=clock.now())
    reconcile.reconcile()
    assert Host.objects.get().error == ""


def test_versions_go_on_by_their_last_job(world):
    TemplateVersion.objects.update(state="deleting")
    reconcile.reconcile()
    assert active(world.version) == []
    job(world.version, "template.delete-version", "template-version", args={"a": 1})
    try:
        reconcile.end_versions()
    except LookupError:
        pytest.fail("template.delete-version is no plan")
    assert active(world.version) == ["template.delete-version"]


def test_purge_forgets_dead_monitors(world):
    MonitorProcess.objects.create(name="dead", seen_at=clock.now() - LONG_AGO)
    MonitorProcess.objects.create(name="live", seen_at=clock.now())
    reconcile.purge()
    assert list(MonitorProcess.objects.values_list("name", flat=True)) == ["live"]
