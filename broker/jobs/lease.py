"""Who may work on a job: a lease of some seconds and an epoch, taken and kept by compare-and-swap.

One thread per process renews all leases of that process. A worker checks `held` before any effect: after
a freeze the monotonic clock tells it that its time is over, even before the database does.
"""

import logging
import os
import socket
import threading
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Case, F, Value, When
from django.db.models.functions import Coalesce
from django.db.utils import DatabaseError

from broker import sql
from broker.core import clock
from broker.sql import Given, Statement, given, time, written

from . import idle_line
from .models import Job
from .states import ACTIVE, JOB, JobState

log = logging.getLogger(__name__)


class LeaseLost(Exception):
    """Another worker has the job now, or may have: stop, write nothing."""


class Lease:
    """The right to work on `job_id` in `epoch` until `deadline` (this process's steady clock). `job`: as claimed."""

    def __init__(self, job_id: UUID, epoch: int, deadline: float, job: Job):
        self.job_id, self.epoch, self.deadline, self.job = job_id, epoch, deadline, job

    @property
    def held(self) -> bool:
        return clock.steady() < self.deadline

    def check(self) -> None:
        """Raise LeaseLost unless the lease is certainly ours."""
        if not self.held and not self.renew():
            raise LeaseLost(self.job_id)

    def write(self, **columns: Any) -> bool:
        """Write these columns of the job row if this lease still owns it: the start of every write a worker does."""
        return bool(_written(None, tuple(columns)).run(**self._owned(), **columns))

    def move(self, event: str, **columns: Any) -> bool:
        """As `write`, with the job's state moved by `event` if it may."""
        return bool(_written(event, tuple(columns)).run(**self._owned(), **columns))

    def _owned(self) -> dict[str, Any]:
        return {"job": self.job_id, "held_epoch": self.epoch}

    def renew(self) -> bool:
        began = clock.steady()
        if not _RENEW.run(**self._owned(), lease_until=clock.now() + timedelta(seconds=_seconds())):
            self.deadline = float("-inf")
            return False
        self.deadline = began + _seconds()
        return True


def _owned_rows() -> Any:
    return written(Job).filter(
        pk=Given("job"), epoch=Given("held_epoch", Job._meta.get_field("epoch")), state__in=sorted(ACTIVE)
    )


@cache
def _written(event: str | None, columns: tuple[str, ...]) -> Statement:
    values = given(Job, *columns)
    if event is None:
        return Statement(lambda: _owned_rows().update(**values))
    return Statement(lambda: JOB.attempt(_owned_rows(), event, **values))


# A job that was given back meanwhile has no worker: it must not be held again by a renewal that comes too late.
_RENEW = Statement(lambda: _owned_rows().filter(worker__gt="").update(**given(Job, "lease_until")))


def _seconds() -> float:
    return float(settings.JOB_LEASE)


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{threading.current_thread().name}"[:128]


def claim(job_id: UUID) -> Lease | None:
    """Take a job that is due and that nobody holds; None when there is nothing to take."""
    began, now = clock.steady(), clock.now()
    until = now + timedelta(seconds=_seconds())
    if not any(_claiming(event).run(job=job_id, now=now, lease_until=until, worker=worker_name()) for event in CLAIMS):
        return None
    # Reading it back is safe: nobody else can claim before the lease just taken runs out.
    job = sql.get(Job, job_id)
    return Lease(job_id, job.epoch, began + _seconds(), job)


CLAIMS = ("claim", "claim_undo")


@cache
def _claiming(event: str) -> Statement:
    due = written(Job).filter(pk=Given("job"), lease_until__lte=time("now"), next_run_at__lte=time("now"))
    return Statement(
        lambda: JOB.attempt(
            due,
            event,
            epoch=F("epoch") + 1,
            # A lease that ran out under a running job means its worker died.
            takeovers=Case(
                When(state__in=(JobState.RUNNING, JobState.UNDOING), worker__gt="", then=F("takeovers") + 1),
                default=Value(0),
            ),
            started_at=Coalesce("started_at", time("now")),
            **given(Job, "lease_until", "worker"),
        )
    )


class Renewer:
    """Renews the leases of this process every third of their length, from one thread."""

    def __init__(self) -> None:
        self._leases: set[Lease] = set()
        self._lock, self._wake = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = 0

    def add(self, lease: Lease) -> None:
        with self._lock:
            self._leases.add(lease)
            if self._thread is None or self._pid != os.getpid():
                self._pid = os.getpid()
                self._thread = threading.Thread(target=self._run, name="lease-renewer", daemon=True)
                self._thread.start()

    def remove(self, lease: Lease) -> None:
        with self._lock:
            self._leases.discard(lease)

    def _run(self) -> None:
        while not self._wake.wait(_seconds() / 3):
            with self._lock:
                leases = list(self._leases)
            for lease in leases:
                try:
                    lease.renew()
                except DatabaseError as error:
                    log.warning("Lease of job %s not renewed: %s", lease.job_id, error)
            idle_line.rest()


RENEWER = Renewer()
