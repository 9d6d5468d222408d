"""The duty that makes lost messages and dead workers harmless: wake every job that is due and unheld."""

from django.db.models import F

from broker.core import clock

from .enqueue import wake
from .models import Job
from .states import ACTIVE, JobState

GRACE_SECONDS = 2.0
BATCH = 500


def wake_due() -> int:
    """Send a wake-up for each due job; returns how many. A job just accepted is left to its own message."""
    now = clock.now()
    due = Job.objects.filter(state__in=ACTIVE, lease_until__lte=now, next_run_at__lte=now)
    ids = list(due.order_by(F("next_run_at")).values_list("pk", "state", "created_at")[:BATCH])
    sent = 0
    for job_id, state, created in ids:
        if state == JobState.QUEUED and (now - created).total_seconds() < GRACE_SECONDS:
            continue
        wake(job_id)
        sent += 1
    return sent
