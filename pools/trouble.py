"""When making or starting desktops fails: wait longer each time, name the cause once, heal by itself.

How often it failed in a row is read from the jobs, so that nothing has to be counted and nothing gets stuck.
Jobs that were begun together count as one try: ten that fail on one full disk are one failure.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import models

from broker.access.actor import Actor
from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.models import Job
from broker.jobs.states import JobState
from broker.sql import Given, Statement

from .models import Pool
from .seats import Look, pause

BUILDER = "pools"
_LOOKED_AT = 60
MOST_SUSPENDS = 3
_KEPT = ("code", "message", "fix", "params", "rule", "reasons", "counts", "helps")
_ENDED = (JobState.SUCCEEDED, JobState.FAILED, JobState.ERRORED)


@dataclass(frozen=True, slots=True)
class Streak:
    """Tries that failed since the last success; `error` is the last one's. `until`: no new try before then."""

    tries: int = 0
    until: datetime | None = None
    error: dict[str, Any] = field(default_factory=dict)

    @property
    def held_back(self) -> bool:
        return self.until is not None and clock.now() < self.until


def tag(pool: Pool) -> str:
    """The correlation of all that is done for the pool by Berth itself."""
    return f"pool-{pool.pk}"


def builder(pool: Pool) -> Actor:
    """Berth itself, at work on the pool."""
    return Actor.system(BUILDER, correlation=tag(pool))


def streak(pool: Pool) -> Streak:
    """One query over the pool's last builds and starts, and one more when the last of them failed."""
    jobs = Job.objects.filter(correlation=tag(pool), plan__in=("vm.create", "vm.start"), state__in=_ENDED)
    if _LAST_STATE.rows(tag=tag(pool)) in ([], [(JobState.SUCCEEDED,)]):
        return Streak()
    failed = []
    for job in jobs.order_by("-finished_at")[:_LOOKED_AT]:
        if job.state == JobState.SUCCEEDED:
            break
        failed.append(job)
    if not failed:
        return Streak()
    tries, try_ended = 0, None
    for job in sorted(failed, key=lambda job: job.created_at):
        if try_ended is None or job.created_at >= try_ended:
            tries, try_ended = tries + 1, job.finished_at
    last = failed[0]
    return Streak(tries, last.finished_at + pause(tries) if last.finished_at else None, last.error or {})


_LAST_STATE = Statement(
    lambda: (
        Job.objects.filter(
            correlation=Given("tag", models.CharField()), plan__in=("vm.create", "vm.start"), state__in=_ENDED
        )
        .order_by("-finished_at")
        .values_list("state")[:1]
    )
)


def of_suspending(look: Look) -> dict[str, Any] | None:
    """Why desktops cannot be suspended to disk, when one could not be several times in a row."""
    failed = [failures for failures in look.failures.values() if failures.plan == "vm.suspend"]
    worst = max(failed, key=lambda failures: failures.count, default=None)
    return worst.error if worst and worst.count >= MOST_SUSPENDS else None


def write_down(pool: Pool, found: Streak, cause: dict[str, Any] | None) -> None:
    """Bring the pool's `failures`, `retry_at` and `alert` up to date; an outage is told when it begins and ends.

    `cause` is what is wrong now as BerthError.as_dict() gives it, None when all is well.
    """
    alert = None
    if cause:
        since = (pool.alert or {}).get("since") or clock.now().isoformat()
        alert = {**{key: cause.get(key) for key in _KEPT}, "since": since}
    wanted = {"failures": found.tries, "retry_at": found.until if cause else None, "alert": alert}
    if all(getattr(pool, name) == value for name, value in wanted.items()):
        return
    Pool.objects.filter(pk=pool.pk).update(**wanted)
    if (pool.alert is None) != (alert is None):
        _tell(pool, alert)
        publish("pool", pool.pk, "alert")
    for name, value in wanted.items():
        setattr(pool, name, value)


def _tell(pool: Pool, alert: dict[str, Any] | None) -> None:
    if alert is None:
        record(
            "pool.healed",
            actor=builder(pool),
            subject=pool,
            message=N_("Desktops of %(pool)s are made again"),
            pool=pool,
        )
        return
    params = alert.get("params") or {}
    cause = str(alert.get("message") or "")
    record(
        "pool.trouble",
        actor=builder(pool),
        subject=pool,
        severity="error",
        message=N_("Desktops of %(pool)s cannot be made ready: %(cause)s"),
        pool=pool,
        cause=cause % params if params else cause,
        explanation={key: alert.get(key) for key in _KEPT},
    )
