"""What a step gets: its job, its arguments, and the only ways to write."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction

from broker.core import clock
from broker.events.news import publish

from .lease import Lease, LeaseLost
from .models import Job

PROGRESS_EVERY = 0.5


class CancelRequested(Exception):
    """Somebody asked for the job to be cancelled, and this is a place where it can be."""


class Context:
    """Handed to probe, do and undo. `args` holds what the action gave and what earlier steps saved."""

    def __init__(self, job: Job, lease: Lease, *, undoing: bool = False):
        self.job, self.lease, self.undoing = job, lease, undoing
        self._told = 0.0
        self.cancellable = True
        """Whether the step at work can be turned back; the runner says so for each."""
        # What the steps of one attempt pass on; whoever takes over begins without it.
        self.kept: dict[str, Any] = {}

    @property
    def args(self) -> dict[str, Any]:
        args: dict[str, Any] = self.job.args
        return args

    def check(self) -> None:
        """Call before an effect outside the database. Raises LeaseLost when the job may be another's."""
        self.lease.check()

    @contextmanager
    def write(self) -> Iterator[None]:
        """A transaction in which everything is written or, if the job is no longer ours, nothing."""
        with transaction.atomic():
            if not self.lease.write(epoch=self.lease.epoch):
                raise LeaseLost(self.job.pk)
            yield

    def save(self, **args: Any) -> None:
        """Remember something for later steps and for whoever resumes the job."""
        merged = {**self.job.args, **args}
        if not self.lease.write(args=merged):
            raise LeaseLost(self.job.pk)
        self.job.args = merged

    def progress(self, share: float, message: str = "", **params: Any) -> None:
        """Say how much of this step is done (0..1) and in what words; also where a long step can be cancelled."""
        moment = clock.steady()
        if moment - self._told < PROGRESS_EVERY:
            return
        self._told = moment
        self.check()
        step_share = (self.job.position + min(max(share, 0.0), 1.0)) / max(self.step_count, 1)
        updates: dict[str, Any] = {"progress": int(step_share * 100)}
        if message:
            updates |= {"message": message, "message_params": {key: str(value) for key, value in params.items()}}
        if not self.lease.write(**updates):
            raise LeaseLost(self.job.pk)
        publish("job", self.job.pk, "progress")
        if self.cancellable and not self.undoing and Job.objects.filter(pk=self.job.pk, cancel_requested=True).exists():
            raise CancelRequested

    step_count = 1
