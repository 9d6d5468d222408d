"""A job ends in exactly one way, with one effect, whatever is repeated, refused, cancelled or taken over."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import transaction

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import Busy, Conflict, Unavailable
from broker.jobs import plans
from broker.jobs.enqueue import enqueue
from broker.jobs.lease import LeaseLost, claim
from broker.jobs.models import Job, StepState
from broker.jobs.plans import NotYet, Plan, Step
from broker.jobs.runner import MOST_TAKEOVERS, Runner
from broker.jobs.states import JobState
from tests.jobs_help import run_all

ACTOR = Actor.system("test")


class Toy:
    """A plan of three steps over a list of effects; each behaviour can be swapped."""

    def __init__(self):
        self.effects, self.calls, self.behaviour = [], [], {}
        steps = tuple(
            Step(
                name, title=name, do=self._do(name), undo=self._undo(name), probe=lambda ctx, n=name: n in self.effects
            )
            for name in ("one", "two", "three")
        )
        self.plan = Plan("toy", "Play with", "cluster", steps, patience=0.5)

    def _do(self, name):
        def do(ctx):
            self.calls.append(name)
            if act := self.behaviour.get(name):
                act(ctx)
            self.effects.append(name)

        return do

    def _undo(self, name):
        def undo(ctx):
            self.calls.append(f"undo {name}")
            if name in self.effects:
                self.effects.remove(name)

        return undo


@pytest.fixture
def toy(monkeypatch):
    toy = Toy()
    monkeypatch.setitem(plans.PLANS._items, "toy", toy.plan)
    return toy


def start(world, **args):
    with transaction.atomic():
        return enqueue("toy", actor=ACTOR, subject=world.cluster, args=args)


def test_it_does_every_step_once(world, toy):
    job = start(world)
    run_all()
    job.refresh_from_db()
    assert (job.state, job.progress, job.error) == (JobState.SUCCEEDED, 100, None)
    assert toy.calls == ["one", "two", "three"]
    assert list(job.steps.values_list("name", "state")) == [(n, StepState.DONE) for n in ("one", "two", "three")]


def test_the_message_delivered_again_does_nothing(world, toy):
    job = start(world)
    for _ in range(3):
        Runner().run(job.pk)
    assert toy.effects == ["one", "two", "three"]
    assert Job.objects.get(pk=job.pk).epoch == 1


def test_a_subject_has_one_active_job(world, toy):
    start(world)
    with pytest.raises(Busy) as refused, transaction.atomic():
        enqueue("toy", actor=ACTOR, subject=world.cluster)
    assert "Play with" in refused.value.message


def test_a_refusal_undoes_what_was_done(world, toy):
    def refuse(ctx):
        raise Conflict("The %(thing)s is in use.", fix="Free it.", thing="disk")

    toy.behaviour["three"] = refuse
    job = start(world)
    run_all()
    job.refresh_from_db()
    assert (job.state, job.cause, job.fix) == (JobState.FAILED, "The disk is in use.", "Free it.")
    assert toy.effects == []
    assert toy.calls == ["one", "two", "three", "undo three", "undo two", "undo one"]


def test_a_defect_is_told_apart_from_a_refusal(world, toy):
    toy.behaviour["two"] = lambda ctx: 1 / 0
    job = start(world)
    run_all()
    job.refresh_from_db()
    assert (job.state, job.error["code"], toy.effects) == (JobState.ERRORED, "bug", [])


def test_what_may_pass_is_tried_again_and_then_given_up(world, toy):
    def unavailable(ctx):
        raise Unavailable("The host does not answer.")

    toy.behaviour["two"] = unavailable
    job = start(world)
    Runner().run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.retries) == (JobState.WAITING, 1)
    toy.behaviour.clear()
    run_all()
    job.refresh_from_db()
    assert job.state == JobState.SUCCEEDED

    toy.effects.clear()
    toy.behaviour["two"] = unavailable
    again = start(world)
    Runner().run(again.pk)
    again.steps.filter(name="two").update(started_at=clock.now() - timedelta(minutes=1))
    run_all()
    again.refresh_from_db()
    assert (again.state, toy.effects) == (JobState.FAILED, [])


def test_a_step_that_waits_frees_the_worker(world, toy):
    tries = []

    def wait(ctx):
        tries.append(1)
        if len(tries) < 3:
            raise NotYet(retry_in=5, message="Waiting for %(what)s", what="the guest")

    toy.behaviour["two"] = wait
    job = start(world)
    Runner().run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.text, job.worker) == (JobState.WAITING, "Waiting for the guest", "")
    assert job.next_run_at > clock.now() + timedelta(seconds=4)
    run_all()
    job.refresh_from_db()
    assert (job.state, len(tries)) == (JobState.SUCCEEDED, 3)


def test_a_cancel_that_comes_after_the_last_exit_ends_no_step_in_its_middle(world, toy, monkeypatch):
    def cancel(ctx):
        Job.objects.filter(pk=ctx.job.pk).update(cancel_requested=True)
        ctx.progress(0.5)

    steps = tuple(replace(step, last_exit=step.name == "one") for step in toy.plan.steps)
    monkeypatch.setitem(plans.PLANS._items, "toy", replace(toy.plan, steps=steps))
    toy.behaviour["two"] = cancel
    job = start(world)
    run_all()
    job.refresh_from_db()
    assert (job.state, toy.effects) == (JobState.SUCCEEDED, ["one", "two", "three"])


def test_a_cancel_past_the_last_exit_counts_for_no_worker_that_takes_the_job_over(world, toy, monkeypatch):
    """The first one dies in the step; the flag is set when the second claims the job."""

    def die(ctx):
        Job.objects.filter(pk=ctx.job.pk).update(cancel_requested=True, lease_until=clock.now() - timedelta(seconds=1))
        raise LeaseLost(ctx.job.pk)

    steps = tuple(replace(step, last_exit=step.name == "one") for step in toy.plan.steps)
    monkeypatch.setitem(plans.PLANS._items, "toy", replace(toy.plan, steps=steps))
    toy.behaviour["two"] = die
    job = start(world)
    Runner().run(job.pk)
    assert toy.effects == ["one"]
    toy.behaviour.clear()
    Runner().run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.takeovers, toy.effects) == (JobState.SUCCEEDED, 1, ["one", "two", "three"])
    assert not [call for call in toy.calls if call.startswith("undo")]


def test_cancelling_undoes_and_says_so(world, toy):
    def cancel(ctx):
        Job.objects.filter(pk=ctx.job.pk).update(cancel_requested=True)

    toy.behaviour["two"] = cancel
    job = start(world)
    run_all()
    job.refresh_from_db()
    assert (job.state, toy.effects) == (JobState.CANCELLED, [])
    assert "three" not in toy.calls


def test_a_frozen_worker_writes_nothing_after_another_took_over(world, toy):
    def freeze(ctx):
        if ctx.job.epoch != 1 and ctx.lease.epoch != 1:
            return
        Job.objects.filter(pk=ctx.job.pk).update(lease_until=clock.now() - timedelta(seconds=1))
        Runner().run(ctx.job.pk)
        with pytest.raises(LeaseLost), ctx.write():
            pass
        with pytest.raises(LeaseLost):
            ctx.save(late=True)
        ctx.lease.deadline = 0
        with pytest.raises(LeaseLost):
            ctx.check()
        raise LeaseLost(ctx.job.pk)

    toy.behaviour["two"] = freeze
    job = start(world)
    Runner().run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.epoch) == (JobState.SUCCEEDED, 2)
    assert toy.effects == ["one", "two", "three"]
    assert "late" not in job.args


def test_two_claims_have_one_winner(world, toy):
    job = start(world)
    first, second = claim(job.pk), claim(job.pk)
    assert first is not None
    assert second is None


def test_a_job_that_kills_its_workers_is_given_up(world, toy):
    job = start(world)
    Job.objects.filter(pk=job.pk).update(state=JobState.RUNNING, worker="dead", takeovers=MOST_TAKEOVERS)
    run_all()
    job.refresh_from_db()
    assert (job.state, job.error["code"], toy.effects) == (JobState.ERRORED, "worker-lost", [])


def test_an_undo_that_fails_is_tried_again_and_then_told(world, toy):
    def refuse(ctx):
        raise Conflict("No.")

    def stuck(ctx):
        raise Unavailable("The storage does not answer.")

    toy.behaviour["two"] = refuse
    object.__setattr__(toy.plan.steps[0], "undo", stuck)
    job = start(world)
    run_all()
    job.refresh_from_db()
    assert (job.state, job.cause) == (JobState.ERRORED, "The storage does not answer.")
