"""Run jobs in the test's own thread, as a worker would, until nothing is due."""

import time
from datetime import timedelta

from django.db.models import F

from broker.core import clock
from broker.jobs.models import Job
from broker.jobs.runner import Runner
from broker.jobs.states import ACTIVE


def finish(job: Job, *, rounds: int = 2000) -> Job:
    """Do this job alone to its end, waiting as it asks to; returns it as it then is."""
    for _ in range(rounds):
        Runner().run(job.pk)
        job.refresh_from_db()
        if job.state not in ACTIVE:
            return job
        time.sleep(max(0.0, min((job.next_run_at - clock.now()).total_seconds(), 1.0)))
    raise AssertionError(f"{job.plan} does not come to an end: {job.state} {job.message}")


def run_all(*, seconds: float = 30.0, skip_waiting: bool = True) -> None:
    """Do every active job to its end. With `skip_waiting`, waiting times are cut short instead of waited for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        active = Job.objects.filter(state__in=ACTIVE)
        if skip_waiting:
            active.filter(next_run_at__gt=clock.now()).update(next_run_at=clock.now() - timedelta(seconds=1))
        due = list(active.filter(next_run_at__lte=clock.now()).order_by(F("created_at")).values_list("pk", flat=True))
        if not due:
            return
        for job_id in due:
            Runner().run(job_id)
        time.sleep(0.002)
    left = list(Job.objects.filter(state__in=ACTIVE).values_list("plan", "state", "message"))
    raise AssertionError(f"jobs do not come to an end: {left}")
