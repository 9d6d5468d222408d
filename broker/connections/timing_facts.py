"""What a wait was for, from what is written anyway: who got the desktop when, the start's job, the run's beginning."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from broker.jobs.models import Job
from broker.jobs.states import JobState

from .models import Session, SessionTiming

LONGEST = timedelta(minutes=30)
"""Who comes to the screen later than this after asking did not wait for it."""
_STARTS = ("vm.start", "vm.resume", "vm.create", "vm.reset-disks")


@dataclass(frozen=True, slots=True)
class Given:
    """That a machine was given to a user: asked for at (empty: unknown), given at, out of which pool."""

    vm_id: UUID
    pool_id: UUID
    user_id: UUID
    asked_at: datetime | None
    given_at: datetime


Givers = Callable[[Collection[UUID], datetime], Iterable[Given]]
_givers: list[Givers] = []


def giver(function: Givers) -> Givers:
    """Decorator for the layer above: what was given of these machines since a moment, or is held still; one query."""
    _givers.append(function)
    return function


def read(rows: Collection[SessionTiming]) -> None:
    """Fill in (unsaved) when each wait began and how long getting and starting the desktop took.

    `rows` have their machines loaded. A constant number of queries, however many there are.
    """
    machines = {row.vm_id for row in rows if row.vm_id}
    since = min((row.began_at for row in rows), default=None)
    if since is None:
        return
    since -= LONGEST
    given = [one for ask in _givers for one in ask(machines, since)]
    starts, earlier = _starts(machines, since), _earlier(rows, since)
    for row in rows:
        mine = [other for other in earlier if other.user_id == row.user_id and other.opened_at < row.began_at]
        held = [one for one in given if (one.vm_id, one.user_id) == (row.vm_id, row.user_id)]
        _fill(row, _last(held, row.began_at), starts.get(row.vm_id), mine)
        row.looked_up = True


def _last(held: Collection[Given], knock: datetime) -> Given | None:
    return max((one for one in held if one.given_at <= knock), key=lambda one: one.given_at, default=None)


def _fill(row: SessionTiming, given: Given | None, start: Job | None, earlier: Collection[Session]) -> None:
    """`earlier`: the user's sessions before this one. A wait belongs to the first session after it."""
    vm, knock = row.vm, row.began_at
    here = [other.opened_at for other in earlier if other.vm_id == row.vm_id]
    if given is not None:
        row.pool_id = given.pool_id
    if row.signed_in_at is None or not _waited_for(row.signed_in_at, knock, [one.opened_at for one in earlier]):
        row.sign_in = None
    if given is not None and _waited_for(given.given_at, knock, here):
        row.began_at = min(given.asked_at or given.given_at, given.given_at)
        row.allocation = _ms(given.given_at - row.began_at)
    elif start is not None and start.actor_id == row.user_id and _waited_for(start.created_at, knock, here):
        row.began_at = start.created_at
    if vm is None or vm.booted_at is None or start is None or row.began_at == knock:
        return
    if row.began_at < vm.booted_at and start.created_at <= vm.booted_at:
        row.start = _ms(vm.booted_at - max(start.created_at, row.began_at))


def _waited_for(asked: datetime, knock: datetime, others: Iterable[datetime]) -> bool:
    """Whether the knock is the first after what was asked for, and soon enough to have been waited for."""
    return asked <= knock <= asked + LONGEST and not any(other >= asked for other in others)


def _starts(machines: Collection[UUID], since: datetime) -> Mapping[UUID | None, Job]:
    """The last job of each machine that brought it up."""
    jobs = Job.objects.filter(
        subject_kind="vm", subject_id__in=machines, plan__in=_STARTS, state=JobState.SUCCEEDED, created_at__gte=since
    )
    return {job.subject_id: job for job in jobs.defer("error", "message_params").order_by("created_at")}


def _earlier(rows: Collection[SessionTiming], since: datetime) -> list[Session]:
    users = {row.user_id for row in rows if row.user_id}
    sessions = Session.objects.own().filter(user_id__in=users, opened_at__gte=since)
    return list(sessions.only("user_id", "vm_id", "opened_at"))


def _ms(span: timedelta) -> int:
    return max(0, round(span.total_seconds() * 1000))
