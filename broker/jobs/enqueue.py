"""Accept long work: the Job row is written in the transaction that accepts the action."""

import logging
from typing import Any
from uuid import UUID

from django.db import IntegrityError, models, transaction

from broker import sql
from broker.core import clock
from broker.core.errors import Busy, Reason
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import ActorLike, subject_kind

from .models import Job
from .plans import PLANS
from .states import ACTIVE, JobState

log = logging.getLogger(__name__)


def enqueue(plan_name: str, *, actor: ActorLike, subject: models.Model, args: dict[str, Any] | None = None) -> Job:
    """Write the job and wake a worker on commit. Raises Busy when a job already works on `subject`."""
    plan = PLANS.get(plan_name)
    kind = subject_kind(subject)
    assert kind == plan.subject_kind, f"{plan_name} works on a {plan.subject_kind}, not on a {kind}"
    try:
        with transaction.atomic():
            job = Job(
                plan=plan.name,
                title=plan.title,
                args=args or {},
                subject_kind=kind,
                subject_id=subject.pk,
                subject_name=str(subject)[:255],
                actor_id=actor.user_id,
                actor_name=actor.name[:255],
                correlation=actor.correlation,
            )
            sql.add(job)
    except IntegrityError:
        other = Job.objects.filter(subject_kind=kind, subject_id=subject.pk, state__in=ACTIVE).first()
        raise Busy(
            N_("%(name)s is busy: %(job)s."),
            rule="job.active",
            fix=N_("Wait until that is done, or cancel it."),
            reasons=(_at_work(other),) if other else (),
            name=str(subject),
            job=other.title if other else "?",
        ) from None
    publish("job", job.pk, "queued")
    transaction.on_commit(lambda: wake(job.pk), robust=True)
    return job


def _at_work(job: Job) -> Reason:
    return Reason(
        str(job), "job.active", N_("it is %(state)s, asked for by %(actor)s"), kind="job", id=job.pk,
        words=N_("another job is at work"), state=job.state, actor=job.actor_name,
    )  # fmt: skip


def hasten(job_id: UUID) -> None:
    """Have a job that waits looked at now: what it waits for may have come."""
    now = clock.now()
    if Job.objects.filter(pk=job_id, state=JobState.WAITING, next_run_at__gt=now).update(next_run_at=now):
        wake(job_id)


def wake(job_id: UUID, *, countdown: float = 0.0) -> None:
    """Send a worker to look at the job. May get lost: the waker sends another."""
    from .tasks import run_job

    when: dict[str, Any] = {"countdown": countdown} if countdown else {}
    run_job.apply_async(args=(str(job_id),), ignore_result=True, **when)
