"""Whose turn it is to start: hosts bear so many starts at once, and people wait for theirs as pools do, only later.

A pool asks before it begins a start, and begins fewer. A person's start is accepted at once, for somebody sits before
it; where several times as many are under way as a pool would begin, its job waits in the order of asking: among the
starts on the machine's host, and among those of the cluster where that has a number of its own, or no host is chosen
yet. What the system starts by itself counts and goes ahead: pools have asked already, and high availability cannot
wait. A start that fails and is tried again holds up nobody.
"""

import math
from dataclasses import dataclass
from statistics import median
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet, Sum

from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.events.news import subscribe
from broker.jobs.context import Context
from broker.jobs.enqueue import hasten
from broker.jobs.models import Job, Step
from broker.jobs.plans import NotYet
from broker.jobs.states import ACTIVE, JobState
from broker.sql import Given, Statement, time

from .models import Host, VirtualMachine
from .states import HostState

ALSO_STARTING = ("vm.create", "vm.reset-disks")
"""Plans that end with a start where they are told so."""
_MEASURED = 20
_WAITS = Q(plan="vm.start", position=0, actor__isnull=False)


@dataclass(frozen=True, slots=True)
class Turn:
    """`place` counts from 1 among those who wait; `seconds` is None where nothing was measured."""

    place: int
    seconds: int | None


def most_starts(cpus: int) -> int:
    """How many starts at once a host with so many processors bears."""
    return settings.STARTS_PER_HOST or max(int(settings.STARTS_PER_CPU * cpus), 1)


def wait_for_turn(ctx: Context, vm: VirtualMachine, host: Host | None) -> None:
    """For the first step of a start: raises NotYet, with place and estimate, until it is the job's turn."""
    if ctx.job.actor_id is None:
        return
    if (turn := turn_of(ctx.job, vm, host)) is None:
        if ctx.job.message:  # what it said while it waited
            ctx.lease.write(message="", message_params={})
        return
    ask_again = min(2.0 + turn.place / 2, 15.0)  # the end of a start before it comes sooner, as news
    if turn.seconds is None:
        raise NotYet(ask_again, N_("Waiting for its turn to start: place %(place)s"), place=turn.place)
    if turn.seconds < 90:
        raise NotYet(
            ask_again, N_("Waiting for its turn to start: place %(place)s, about %(seconds)s s"), place=turn.place,
            seconds=turn.seconds,
        )  # fmt: skip
    raise NotYet(
        ask_again, N_("Waiting for its turn to start: place %(place)s, about %(minutes)s min"), place=turn.place,
        minutes=round(turn.seconds / 60),
    )  # fmt: skip


@subscribe("vm")
def _ended(id: str, change: str) -> None:
    """A job on a machine has ended: it may be the turn of whoever waits longest on the same host."""
    if change != "job-ended":
        return
    for (job_id,) in _NEXT.rows(vm=UUID(id), now=clock.now()):
        hasten(job_id)


def _next() -> "QuerySet[Any, Any]":
    here = VirtualMachine.objects.filter(pk=Given("vm")).order_by().values("host")
    beside = VirtualMachine.objects.filter(host__in=here).order_by().values("pk")
    rows = Job.objects.filter(_WAITS, state=JobState.WAITING, next_run_at__gt=time("now"), subject_id__in=beside)
    return rows.order_by("created_at", "pk").values_list("pk")[:1]


_NEXT = Statement(_next)


def under_way(host: Host) -> int:
    """How many starts on it were asked for and have not ended."""
    return _starting(Q(host=host)).count()


def turn_of(job: Job, vm: VirtualMachine, host: Host | None) -> Turn | None:
    """Where the start that `job` is to do stands in its queue; None when it may begin. `host`: where it is to run."""
    turns = []
    if host is not None:
        turns.append(_turn(job, Q(host=host), most_starts(host.cpus)))
    if host is None or settings.STARTS_PER_CLUSTER:
        turns.append(_turn(job, Q(cluster=vm.cluster_id), settings.STARTS_PER_CLUSTER or _of_hosts(vm)))
    return max((turn for turn in turns if turn is not None), key=lambda turn: turn.place, default=None)


def _of_hosts(vm: VirtualMachine) -> int:
    rows = Host.objects.filter(cluster=vm.cluster_id, state=HostState.ACTIVE, error="")
    if settings.STARTS_PER_HOST:
        return max(rows.count() * settings.STARTS_PER_HOST, 1)
    cpus: int = rows.aggregate(_cpus=Sum("cpus"))["_cpus"] or 0
    return most_starts(cpus)


def _turn(job: Job, where: Q, usual: int) -> Turn | None:
    most = int(usual * settings.STARTS_ASKED)
    others = _starting(where).exclude(pk=job.pk)
    before = Q(created_at__lt=job.created_at) | Q(created_at=job.created_at, pk__lt=job.pk)
    waiting = others.filter(_WAITS & before).count()
    begun = others.exclude(_WAITS).count()
    if (ahead := begun + waiting) < most:
        return None
    lasts = _lasts()
    # They come in waves of as many as may start at once.
    waves = (ahead - most) // most + 1
    return Turn(waiting - max(most - begun, 0) + 1, None if lasts is None else math.ceil(waves * lasts))


def _starting(where: Q) -> "QuerySet[Job]":
    machines: Any = VirtualMachine.objects.filter(where).order_by().values("pk")
    return Job.objects.filter(
        Q(plan="vm.start") | Q(plan__in=ALSO_STARTING, args__start=True),
        subject_kind="vm", subject_id__in=machines, state__in=sorted(ACTIVE), retries=0,
    )  # fmt: skip


def _lasts() -> float | None:
    """How long the last starts took once it was their turn."""
    steps = Step.objects.filter(job__plan="vm.start", job__state=JobState.SUCCEEDED, index=1)
    rows = steps.order_by("-job__created_at").values_list("started_at", "job__finished_at")[:_MEASURED]
    times = [(end - begin).total_seconds() for begin, end in rows if begin is not None and end is not None]
    return median(times) if times else None
