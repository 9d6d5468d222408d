"""Ask a job to stop and take back what it did."""

from functools import partial

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core import clock
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import wake
from broker.jobs.models import Job
from broker.jobs.plans import PLANS
from broker.jobs.states import ACTIVE, JobState


@transaction.atomic
def cancel_job(*, actor: Actor, job: Job) -> Job:
    """Returns the job; it ends as cancelled at the next place where it can. Asking twice has one effect.

    Raises Missing or Denied, or Conflict when it has ended or can no longer be taken back.
    """
    require(actor, "job.cancel", job)
    if job.plan in PLANS and not PLANS.get(job.plan).cancellable:
        raise Conflict(
            N_("“%(job)s” cannot be taken back once begun."),
            rule="job.cancellable",
            fix=N_("Wait until it has ended."),
            job=str(job),
        )
    if job.state == JobState.UNDOING or job.cancel_requested:
        return job
    if not Job.objects.filter(pk=job.pk, state__in=ACTIVE).update(cancel_requested=True):
        job.refresh_from_db()
        raise Conflict(
            N_("“%(job)s” has ended (%(state)s)."),
            rule="job.active",
            fix=N_("Nothing needs to be done."),
            job=str(job),
            state=job.state,
        )
    # A job that waits for something is looked at now, not when its time comes.
    Job.objects.filter(pk=job.pk, state=JobState.WAITING).update(next_run_at=clock.now())
    job.refresh_from_db()
    record("job.cancelled", actor=actor, subject=job, message=N_("Asked to cancel “%(job)s”"), job=job)
    publish("job", job.pk, "cancel")
    transaction.on_commit(partial(wake, job.pk), robust=True)
    return job
