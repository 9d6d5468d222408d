"""Starts that people ask for wait for their turn: in the order of asking, saying place and time, and cancellable."""

from datetime import timedelta

import pytest

from broker.access.actions.cancel_job import cancel_job
from broker.core import clock
from broker.jobs.models import Job, Step
from broker.jobs.runner import Runner
from broker.virt.actions.start_vm import start_vm
from broker.virt.models import Host, VirtualMachine
from broker.virt.turns import turn_of
from tests.virt.actions.stage import SYSTEM, done

RUNNER = Runner()


@pytest.fixture
def machines(stage, settings):
    """One makes the rows of all: what a start does on the host is tried elsewhere."""
    settings.STARTS_ASKED = 1.0
    first = stage.make("desk-1")
    return [first, *(stage.make(f"desk-{number}") for number in range(2, 5))]


def asked(stage, vm, *, by=None) -> Job:
    return start_vm(actor=by or stage.world.actor("root"), vm=vm)


def said(job: Job) -> str:
    """What the job says once a worker has looked at it."""
    RUNNER.run(job.pk)
    job.refresh_from_db()
    return job.text


def let_in(job: Job) -> None:
    """As if a worker were in the midst of it."""
    Job.objects.filter(pk=job.pk).update(position=1, state="running", next_run_at=clock.now() + timedelta(hours=1))


def test_one_after_the_other_with_place_and_estimate_and_then_all_run(stage, machines, settings):
    settings.STARTS_PER_HOST = 1
    first, second, third, fourth = (asked(stage, vm) for vm in machines)
    let_in(first)
    # Nothing was measured yet.
    assert said(second) == "Waiting for its turn to start: place 1"
    assert said(third) == "Waiting for its turn to start: place 2" and third.position == 0
    old = Job.objects.create(
        plan="vm.start", title="x", subject_kind="vm", subject_id=machines[0].pk, actor_name="x", state="succeeded",
        finished_at=clock.now(),
    )  # fmt: skip
    Step.objects.create(job=old, index=1, name="prepare", title="x", started_at=clock.now() - timedelta(seconds=40))
    Job.objects.exclude(pk=first.pk).update(next_run_at=clock.now())
    assert said(third) == "Waiting for its turn to start: place 2, about 80 s"
    assert said(fourth) == "Waiting for its turn to start: place 3, about 2 min"
    cancel_job(actor=stage.world.actor("root"), job=second)
    Job.objects.filter(pk=second.pk).update(next_run_at=clock.now())
    said(second)
    assert second.state == "cancelled"
    Job.objects.filter(pk=first.pk).update(position=0, state="queued", next_run_at=clock.now())
    for job in (first, third, fourth):
        assert done(job).text == "", "what it said while it waited is over"
    assert set(stage.machines().values()) == {"running", "off"}


def test_the_end_of_one_is_the_turn_of_the_next_at_once(stage, machines, settings, django_capture_on_commit_callbacks):
    settings.STARTS_PER_HOST = 1
    first, second, third = (asked(stage, vm) for vm in machines[:3])
    let_in(first)
    said(third)
    said(second)
    Job.objects.filter(pk=first.pk).update(position=0, state="queued", next_run_at=clock.now())
    with django_capture_on_commit_callbacks(execute=True):
        while (first := Job.objects.get(pk=first.pk)).active:
            RUNNER.run(first.pk)
    due = Job.objects.filter(next_run_at__lte=clock.now(), state="waiting")
    assert list(due) == [second] and Job.objects.get(pk=third.pk).next_run_at > clock.now()


def test_who_asks_later_waits_though_earlier_ones_were_not_looked_at_yet(stage, machines, settings):
    settings.STARTS_PER_HOST = 2
    first, second, third, _fourth = (asked(stage, vm) for vm in machines)
    host = stage.world.host
    assert [turn_of(job, vm, host) is None for job, vm in zip((first, second, third), machines, strict=False)] == [
        True, True, False,
    ]  # fmt: skip


def test_people_wait_later_than_pools_do(stage, machines, settings):
    settings.STARTS_PER_HOST, settings.STARTS_ASKED = 1, 3.0
    jobs = [asked(stage, vm) for vm in machines]
    turns = [turn_of(job, vm, stage.world.host) for job, vm in zip(jobs, machines, strict=True)]
    assert turns[:3] == [None] * 3 and turns[3].place == 1


def test_what_the_system_starts_counts_and_does_not_wait_and_failures_hold_up_nobody(stage, machines, settings):
    settings.STARTS_PER_HOST = 1
    mine, systems, failing = asked(stage, machines[0]), asked(stage, machines[1], by=SYSTEM), machines[2]
    host = stage.world.host
    assert turn_of(mine, machines[0], host).place == 1, "the pool has asked already"
    done(systems)
    let_in(asked(stage, failing))
    assert turn_of(mine, machines[0], host) is not None
    Job.objects.filter(subject_id=failing.pk, plan="vm.start").update(retries=3)
    assert turn_of(mine, machines[0], host) is None


def test_other_hosts_are_not_waited_for_but_a_cluster_s_own_number_is(stage, machines, settings):
    settings.STARTS_PER_HOST = 1
    let_in(asked(stage, machines[0]))
    mine, host = asked(stage, machines[1]), stage.world.host
    other = Host.objects.create(
        cluster=host.cluster, name="other", driver="simulated", uri="sim://other-of-turns", state="active", cpus=4
    )
    VirtualMachine.objects.filter(pk=machines[1].pk).update(host=other)
    assert turn_of(mine, machines[1], host) is not None
    assert turn_of(mine, machines[1], other) is None
    assert turn_of(mine, machines[1], None) is None, "two hosts bear two"
    settings.STARTS_PER_CLUSTER = 1
    assert turn_of(mine, machines[1], other).place == 1
