"""The one command task: look at a job."""

from uuid import UUID

from celery import shared_task

from broker.celery import DUTIES

from . import duties
from .runner import Runner


@shared_task(name="run_job", ignore_result=True)
def run_job(job_id: str) -> None:
    """Do what is due of the job; harmless when there is nothing, or when another worker is at it."""
    Runner().run(UUID(job_id))


@shared_task(name="run_duty", ignore_result=True)
def run_duty(name: str) -> None:
    """Do a periodic duty of broker.celery.DUTIES, unless another worker is at it."""
    every, path = DUTIES[name]
    duties.run(name, path, every)
