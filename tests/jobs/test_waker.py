"""What is due and in nobody's hands is woken; everything else is left alone."""

from datetime import timedelta

import pytest

from broker.core import clock
from broker.jobs import waker
from broker.jobs.models import Job
from broker.jobs.states import ENDED, JobState


@pytest.fixture
def woken(monkeypatch):
    """The ids that were woken, in order."""
    ids = []
    monkeypatch.setattr(waker, "wake", ids.append)
    return ids


@pytest.fixture
def make_job(world):
    def make(state=JobState.QUEUED, *, age=60.0, due=-1.0, lease=-1.0) -> Job:
        now = clock.now()
        world.cluster.pk = None
        world.cluster.name = f"cluster-{Job.objects.count()}"
        world.cluster._state.adding = True
        world.cluster.save()
        return Job.objects.create(
            plan="vm.create", title="Create", subject_kind="cluster", subject_id=world.cluster.pk, state=state,
            created_at=now - timedelta(seconds=age), next_run_at=now + timedelta(seconds=due),
            lease_until=now + timedelta(seconds=lease),
        )  # fmt: skip

    return make


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.WAITING, JobState.UNDOING])
def test_a_due_job_that_nobody_holds_is_woken(make_job, woken, state):
    job = make_job(state)
    assert waker.wake_due() == 1
    assert woken == [job.pk]


def test_a_held_job_is_left_to_its_worker(make_job, woken):
    make_job(JobState.RUNNING, lease=20.0)
    assert waker.wake_due() == 0


def test_a_job_whose_time_has_not_come_is_left(make_job, woken):
    make_job(JobState.WAITING, due=5.0)
    assert waker.wake_due() == 0


def test_a_job_just_accepted_is_left_to_its_own_message(make_job, woken):
    make_job(age=0.5)
    lost = make_job(age=waker.GRACE_SECONDS + 1)
    assert waker.wake_due() == 1
    assert woken == [lost.pk]


@pytest.mark.parametrize("state", sorted(ENDED))
def test_what_has_ended_stays_so(make_job, woken, state):
    make_job(state)
    assert waker.wake_due() == 0


def test_the_longest_waiting_come_first_and_a_pass_is_bounded(make_job, woken, monkeypatch):
    monkeypatch.setattr(waker, "BATCH", 2)
    jobs = {due: make_job(due=due) for due in (-1.0, -30.0, -10.0)}
    assert waker.wake_due() == 2
    assert woken == [jobs[-30.0].pk, jobs[-10.0].pk]
