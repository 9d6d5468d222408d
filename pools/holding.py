"""Who has a desktop: handing it over and taking it back, in the caller's transaction."""

from datetime import datetime

from django.db.models import Exists, OuterRef, Q, QuerySet

from broker import sql
from broker.access.actor import Actor
from broker.connections.actions import end_sessions_of
from broker.core import clock
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE
from broker.sql import Given, Statement, time, written
from broker.virt import quotas
from broker.virt.driver import PowerState

from .admission import leave
from .models import Assignment, Desktop, Pool
from .states import DESKTOP, note
from .wake import wake

UP = (PowerState.RUNNING, PowerState.PAUSED)
# Jobs after which a machine runs, or may be started: a desktop may be handed out while they work.
BRINGING_UP = ("vm.create", "vm.start", "vm.wake")


def jobs_on_desktops(*, bringing_up: bool) -> QuerySet[Job]:
    """For Exists(): active jobs on the desktop of the outer query, those of BRINGING_UP or all others."""
    jobs = Job.objects.filter(subject_kind="vm", subject_id=OuterRef("pk"), state__in=sorted(ACTIVE))
    # A creation that does not start its machine, caught at its end, would leave the user with one that is off.
    if bringing_up:
        return jobs.filter(Q(plan__in=("vm.start", "vm.wake")) | Q(plan="vm.create", args__start=True))
    # Not the negation of the former: in SQL, what is not said is neither true nor false.
    unstarted = Q(args__start=False) | Q(args__start__isnull=True)
    return jobs.filter(~Q(plan__in=BRINGING_UP) | Q(unstarted, plan="vm.create"))


# Decides who has it, and looks afresh whether a job is taking the machine away.
_ASSIGN = Statement(
    lambda: DESKTOP.attempt(
        written(Desktop).filter(~Exists(jobs_on_desktops(bringing_up=False)), pk=Given("desktop")),
        "assign", holder=Given("user"), held_since=time("now"), changed_at=time("now"), failures=0,
    )
)  # fmt: skip


def hand_over(actor: Actor, desktop: Desktop, user: User, *, how: str) -> bool:
    """Give the free `desktop` to `user` unless somebody was faster; returns whether it is the user's now.

    Raises OverQuota.
    """
    now = clock.now()
    if not _ASSIGN.run(desktop=desktop.pk, user=user.pk, now=now):
        return False
    quotas.claim_holding(actor, desktop.vm, user.pk)  # after the write: who was faster has paid for nothing else
    desktop.holder, desktop.held_since, desktop.changed_at = user, now, now
    note(desktop, "assign")
    _write_down(actor, desktop, user, now, how)
    return True


def _write_down(actor: Actor, desktop: Desktop, user: User, now: datetime, how: str) -> None:
    sql.add(
        Assignment(
            desktop=desktop, desktop_name=desktop.vm.name, pool_id=desktop.pool_id, user=user,
            asked_at=actor.asked_at, since=now,
        )
    )  # fmt: skip
    record(
        f"desktop.{how}",
        actor=actor,
        subject=desktop,
        message=N_("%(user)s got the desktop %(name)s"),
        user=user.username,
        name=desktop.vm.name,
    )
    publish("desktop", desktop.pk, "assigned")


def take_back(actor: Actor, desktop: Desktop, pool: Pool, *, reason: str, discard: bool = False) -> None:
    """End the holding of `desktop`. A stateless one is to be reset, unless `discard` says that it goes anyway.

    `reason` is a short untranslated sentence for the record. Raises Conflict when the holder seen is not the holder.
    """
    event = "release" if pool.stateful or discard else "release_reset"
    user, now = desktop.holder, clock.now()
    rows = Desktop.objects.filter(pk=desktop.pk, holder_id=desktop.holder_id)
    if user is None or not DESKTOP.attempt(rows, event, holder=None, held_since=None, changed_at=now, failures=0):
        raise Conflict(
            N_("%(name)s is not held by the user you saw any more."),
            rule="desktop.holder",
            about=desktop.vm,
            fix=N_("Look again: it was given back, or somebody else has it."),
            name=desktop.vm.name,
        )
    desktop.holder = desktop.held_since = None
    desktop.changed_at = now
    note(desktop, event)
    Assignment.objects.filter(desktop=desktop, until__isnull=True).update(until=now, reason=reason)
    leave(desktop, pool, now)
    end_sessions_of(actor=Actor.system("pools"), vm=desktop.pk)
    record(
        "desktop.released",
        actor=actor,
        subject=desktop,
        message=N_("The desktop %(name)s of %(user)s went back to %(pool)s: %(reason)s"),
        name=desktop.vm.name,
        user=user.username,
        pool=pool,
        reason=reason,
    )
    publish("desktop", desktop.pk, "released")
    wake(pool.pk)


def running(desktop: Desktop) -> bool:
    return desktop.vm.power_state in UP
