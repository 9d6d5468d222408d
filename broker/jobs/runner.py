"""Do a job: claim it, walk its steps forward, or walk them back when it cannot be finished.

The position is saved before each step, so whoever takes over knows which step may be half done and begins
it again: probe first. Every exit of this module leaves the row either ended or due again.
"""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from broker import sql
from broker.core import clock
from broker.core.errors import BerthError
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.sql import Given, Statement, given, written

from .context import CancelRequested, Context
from .enqueue import wake
from .lease import RENEWER, Lease, LeaseLost, claim
from .models import Job, Step, StepState
from .plans import PLANS, NotYet, Plan
from .states import JOB, JobState

log = logging.getLogger(__name__)
MOST_TAKEOVERS = 5
UNDO_TRIES = 8
UNTOLD = "untold"
"""An argument of a job that was asked for by somebody who looks what becomes of it: no event tells that it failed."""

BUG = {
    "code": "bug",
    "message": N_("A defect in Berth stopped this job."),
    "fix": N_("Try again; if it fails again, report it with the correlation id. The log has the details."),
    "params": {},
    "rule": "bug",
}
GAVE_UP = {
    "code": "worker-lost",
    "message": N_("The workers that tried this job died or froze, several times in the same step."),
    "fix": N_("Look at the workers' log and memory, then try again."),
    "params": {},
    "rule": "worker-lost",
}
Boundary = Callable[[str, str, str], None]


_CANCEL_ASKED = Statement(
    lambda: Job.objects.filter(pk=Given("job"), cancel_requested=True).order_by().values_list("pk")
)
_END_STEP = Statement(
    lambda: (
        written(Step)
        .filter(job=Given("job"), index=Given("index", Step._meta.get_field("index")))
        .update(**given(Step, "state", "finished_at"))
    )
)


class Stopped(Exception):
    """This worker is done with the job for now; the row says what comes next."""


class Runner:
    """Runs one job as far as it will go. `boundary(plan, step, "before"|"did"|"undid")` is called around effects."""

    def __init__(self, boundary: Boundary = lambda plan, step, when: None):
        self.boundary = boundary

    def run(self, job_id: UUID) -> None:
        lease = claim(job_id)
        if lease is None:
            return
        RENEWER.add(lease)
        try:
            Attempt(lease.job, lease, PLANS.get(lease.job.plan), self.boundary).go()
        except (LeaseLost, Stopped):
            log.debug("Leaving job %s", job_id)
        finally:
            RENEWER.remove(lease)


class Attempt:
    """One worker's turn at one job."""

    def __init__(self, job: Job, lease: Lease, plan: Plan, boundary: Boundary):
        self.job, self.lease, self.plan, self.boundary = job, lease, plan, boundary
        self.context = Context(job, lease, undoing=job.state == JobState.UNDOING)
        self.context.step_count = len(plan.steps)

    def go(self) -> None:
        if self.job.takeovers > MOST_TAKEOVERS and self.job.state != JobState.UNDOING:
            self.turn_back(JobState.ERRORED, GAVE_UP)
        if self.job.state != JobState.UNDOING:
            self.forward()
        self.backward()

    # -- forward ---------------------------------------------------------------------------------------------

    def forward(self) -> None:
        """Returns when the job must be undone; raises Stopped when it ended well or has to wait."""
        publish("job", self.job.pk, self.job.state)
        if self.job.position == 0:
            self._begin(self.plan.steps[0].name, self.plan.steps[0].title, 0)
        while self.job.position < len(self.plan.steps):
            step = self.plan.steps[self.job.position]
            self.context.cancellable = self._cancellable()
            if self._cancel_asked():
                return self.turn_back(JobState.CANCELLED, None)
            self.boundary(self.plan.name, step.name, "before")
            try:
                if step.probe is None or not step.probe(self.context):
                    self.context.check()
                    step.do(self.context)
            except NotYet as wait:
                self._wait(wait.retry_in, wait.message, wait.params)
            except CancelRequested:
                return self.turn_back(JobState.CANCELLED, None)
            except BerthError as error:
                if error.retry and self._patient():
                    self._wait(
                        min(0.5 * 2 ** min(self.job.retries, 9), 15.0),
                        error.template,
                        error.params,
                        retries=self.job.retries + 1,
                    )
                log.warning("Job %s (%s) failed at %s: %s", self.job.pk, self.plan.name, step.name, error)
                return self.turn_back(JobState.FAILED, error.as_dict())
            except (LeaseLost, Stopped):
                raise
            except Exception:
                log.exception("Job %s (%s) broke at %s", self.job.pk, self.plan.name, step.name)
                return self.turn_back(JobState.ERRORED, BUG)
            self.boundary(self.plan.name, step.name, "did")
            if self.job.position + 1 == len(self.plan.steps):
                break
            self._done(StepState.DONE, self.job.position + 1)
        self._end("succeed", progress=100, position=len(self.plan.steps), retries=0)
        raise Stopped

    def _cancellable(self) -> bool:
        return self.plan.cancellable and not any(step.last_exit for step in self.plan.steps[: self.job.position])

    def _cancel_asked(self) -> bool:
        """Read anew for each step: whoever took the job over past its last exit goes forward, as the first would."""
        return self.context.cancellable and bool(_CANCEL_ASKED.rows(job=self.job.pk))

    def _patient(self) -> bool:
        started = self.job.steps.get(index=self.job.position).started_at
        return (clock.now() - started).total_seconds() < self.plan.patience

    def turn_back(self, outcome: JobState, error: dict[str, Any] | None) -> None:
        """Begin undoing, from the step that was at work."""
        self._move("undo", outcome=outcome, error=error, retries=0, message="", message_params={})
        self.context.undoing = True

    # -- backward --------------------------------------------------------------------------------------------

    def backward(self) -> None:
        while True:
            step = self.plan.steps[self.job.position] if self.job.position < len(self.plan.steps) else None
            began = step and self.job.steps.filter(index=self.job.position).exists()
            if step and step.undo and began:
                self._undo(step.name, step.undo)
            if self.job.position == 0:
                break
            self._done(StepState.UNDONE, self.job.position - 1)
        event = {JobState.FAILED: "fail", JobState.CANCELLED: "cancel", JobState.ERRORED: "err"}
        self.job.steps.filter(index=0).update(state=StepState.UNDONE)
        self._end(event[JobState(self.job.outcome)])

    def _undo(self, name: str, undo: Callable[[Context], None]) -> None:
        try:
            self.context.check()
            undo(self.context)
        except NotYet as wait:
            self._wait(wait.retry_in, wait.message, wait.params)
        except (LeaseLost, Stopped):
            raise
        except Exception as error:
            known = error if isinstance(error, BerthError) else None
            if known and self.job.retries < UNDO_TRIES:
                self._wait(
                    min(2.0 ** min(self.job.retries, 9), 30.0),
                    known.template,
                    known.params,
                    retries=self.job.retries + 1,
                )
            log.exception("Job %s (%s): undoing %s did not work", self.job.pk, self.plan.name, name)
            left = known.as_dict() if known else BUG
            if not self.lease.write(outcome=JobState.ERRORED, error=left, retries=0):
                raise LeaseLost(self.job.pk) from None
            self.job.outcome, self.job.error = JobState.ERRORED, left
        self.boundary(self.plan.name, name, "undid")

    # -- the row ---------------------------------------------------------------------------------------------

    def _move(self, event: str, **updates: Any) -> None:
        if not self.lease.move(event, **updates):
            raise LeaseLost(self.job.pk)
        self.job.state = JOB.transitions[event].target
        for name, value in updates.items():
            setattr(self.job, name, value)
        publish("job", self.job.pk, self.job.state)

    def _begin(self, name: str, title: str, position: int) -> None:
        """Note that the step is at work; it is noted already when it is begun again."""
        sql.add_unless_there(Step(job=self.job, index=position, name=name, title=title))

    def _done(self, state: StepState, position: int) -> None:
        share = int(position * 100 / len(self.plan.steps))
        with transaction.atomic():
            # First, for it decides whether the job is still ours.
            if not self.lease.write(position=position, retries=0, progress=share):
                raise LeaseLost(self.job.pk)
            _END_STEP.run(job=self.job.pk, index=self.job.position, state=state, finished_at=clock.now())
            if state is StepState.DONE:
                # Begun in the same transaction as the end of the one before: one commit a step.
                self._begin(self.plan.steps[position].name, self.plan.steps[position].title, position)
        self.job.position, self.job.retries = position, 0
        publish("job", self.job.pk, "progress")

    def _wait(self, seconds: float, message: str, params: dict[str, Any], **updates: Any) -> None:
        """Give the job back until its time comes."""
        now = clock.now()
        updates |= {"next_run_at": now + timedelta(seconds=seconds), "lease_until": now, "worker": ""}
        if message:
            updates |= {"message": message, "message_params": {key: str(value) for key, value in params.items()}}
        if self.job.state == JobState.UNDOING:
            if not self.lease.write(**updates):
                raise LeaseLost(self.job.pk)
        else:
            self._move("wait", **updates)
        wake(self.job.pk, countdown=seconds)
        raise Stopped

    def _end(self, event: str, **updates: Any) -> None:
        with transaction.atomic():
            now, last = clock.now(), self.job.position
            self._move(event, finished_at=now, lease_until=now, worker="", **updates)
            if event == "succeed":
                _END_STEP.run(job=self.job.pk, index=last, state=StepState.DONE, finished_at=now)
            elif not self.job.args.get(UNTOLD):
                self._tell()
        publish(self.job.subject_kind, self.job.subject_id, "job-ended")

    def _tell(self) -> None:
        messages = {
            JobState.FAILED: N_("%(job)s %(subject_name)s failed: %(cause)s"),
            JobState.CANCELLED: N_("%(job)s %(subject_name)s was cancelled"),
            JobState.ERRORED: N_("%(job)s %(subject_name)s stopped on a defect: %(cause)s"),
        }
        outcome = JobState(self.job.outcome)
        record(
            f"job.{outcome}",
            actor=JobActor(self.job),
            message=messages[outcome],
            subject=self.job,
            severity="info" if outcome is JobState.CANCELLED else "error",
            job=self.job.title,
            subject_name=self.job.subject_name,
            cause=self.job.cause,
            explanation=self.job.error,
        )


class JobActor:
    """The one for whom the job runs, as events name them."""

    address = None

    def __init__(self, job: Job):
        self.user_id, self.name, self.correlation = job.actor_id, job.actor_name, job.correlation
