"""Duty: bring every pool closer to what is wanted of it. Level-triggered: it looks at what is, not at what happened.

One pass over a pool is one transaction under the lock of its row: settle what has come to an end, ask sizing what
to do, do it, and say so when it cannot be done.
"""

import logging
from functools import cache
from uuid import UUID

from django.db import transaction

from broker.access.models import Grant
from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.sql import Given, Statement, given, written
from broker.virt.driver import PowerState
from broker.virt.models import Cluster
from broker.virt.states import VM, VmState

from . import aiming, physical, rollout, seats, silence, sizing, trouble
from .carry_out import carry_out
from .holding import take_back
from .models import Desktop, Pool
from .seats import Look
from .serving import serve
from .states import DESKTOP, POOL, DesktopState, note

log = logging.getLogger(__name__)
MOST_FAILURES = 3
MOST_DELETIONS = 5
_ENDED = (PowerState.OFF, PowerState.CRASHED)
# Causes that say nothing against the one desktop that met them: they are waited out.
_NOT_ITS_FAULT = frozenset(
    {"host-unreachable", "unavailable", "no-capacity", "no-space", "worker-lost", "busy", "locked"}
)


def reconcile_all() -> int:
    """The duty; returns how many pools were looked at. One that cannot be looked at holds up no other."""
    ids = list(Pool.objects.order_by("created_at").values_list("pk", flat=True))
    for pool_id in ids:
        try:
            reconcile_pool(pool_id)
        except Exception:
            log.exception("Pool %s could not be looked at; it comes round again", pool_id)
    return len(ids)


@transaction.atomic
def reconcile_pool(pool_id: UUID) -> sizing.Plan:
    """One pass over one pool; returns what was begun. Nothing happens when the pool is gone."""
    pool: Pool | None = next(iter(_LOCKED.objects(pool=pool_id)), None)
    if pool is None:
        return sizing.Plan()
    if pool.is_physical:
        serve(pool)
        if not physical.look_after(pool) and not POOL.is_(pool.state, "open"):
            _remove(pool)
        return sizing.Plan()
    found = trouble.streak(pool)
    look = _settle(pool, seats.look(pool), found)
    if serve(pool):
        look = seats.look(pool)
    wanted = _wanted(pool, found, look)
    if not POOL.is_(pool.state, "open") and not look.desktops:
        _remove(pool)
        return sizing.Plan()
    if rollout.keep_up(pool, look, found):
        look = seats.look(pool)
    plan = sizing.plan(wanted, look.seats(), seats.limits(pool.cluster, look))
    if plan.starts:
        # What other pools of the cluster start counts as well: one pass at a time decides about starts.
        list(Cluster.objects.select_for_update(no_key=True).filter(pk=pool.cluster_id).values_list("pk").order_by())
        plan = sizing.plan(wanted, look.seats(), seats.limits(pool.cluster, look))
    refused = carry_out(pool, plan, look.desktops)
    enough = sizing.satisfied(wanted, look.seats())
    cause = refused or (found.error if found.tries and not enough else None) or trouble.of_suspending(look)
    if cause is None and not enough and not plan.starts:
        cause = silence.cause(pool, look)
    trouble.write_down(pool, found, cause)
    return plan


_LOCKED = Statement(
    lambda: (
        Pool.objects.select_for_update(of=("self",), no_key=True)
        .select_related("cluster", "template", "version__template__cluster", "version__storage", "storage", "network")
        .filter(pk=Given("pool"))
        .order_by()
    )
)


def _wanted(pool: Pool, found: trouble.Streak, look: Look) -> sizing.Wanted:
    if not POOL.is_(pool.state, "open"):
        return sizing.Wanted(size=0)
    sizes = aiming.aim_at(pool, in_use=sum(row.state == DesktopState.ASSIGNED for row in look.desktops))
    return sizing.Wanted(
        size=sizes.size,
        prestarted=sizes.prestarted,
        suspended=sizes.suspended,
        keep_saved=pool.stateful,
        held_back=found.held_back,
        doubtful=bool(found.tries),
    )


# -- what has come to an end -------------------------------------------------------------------------------


def _settle(pool: Pool, look: Look, found: trouble.Streak) -> Look:
    """Move desktops whose job has ended, and take back those whose user switched them off."""
    again = False
    for desktop in look.desktops:
        if _goes_back(pool, desktop, look):
            take_back(trouble.builder(pool), desktop, pool, reason=N_("it was switched off"))
            again = True
        elif event := _event(desktop, look, found):
            again |= not _move(pool, desktop, event, look)
    return seats.look(pool) if again else look


def _goes_back(pool: Pool, desktop: Desktop, look: Look) -> bool:
    """An automatic pool's desktop that is off and not about to be started: its user is done with it."""
    return (
        pool.kind == Pool.Kind.AUTOMATIC
        and desktop.state == DesktopState.ASSIGNED
        and VM.is_(desktop.vm.state, "usable")
        and desktop.vm.power_state in _ENDED
        and desktop.pk not in look.busy
    )


def _event(desktop: Desktop, look: Look, found: trouble.Streak) -> str:
    """What has become of a desktop that is not in anybody's hands; empty when nothing has."""
    busy, failed = desktop.pk in look.busy, look.failed(desktop.pk)
    whole = VM.is_(desktop.vm.state, "usable")
    # What could not be suspended is as good as before, only not as cheap.
    its_fault = (
        failed.count >= MOST_FAILURES and failed.plan != "vm.suspend" and failed.error.get("code") not in _NOT_ITS_FAULT
    )
    if desktop.state == DesktopState.BUILDING:
        return "built" if whole else "" if busy else "break"
    if desktop.state == DesktopState.RETIRING:
        return "keep" if failed.count >= MOST_DELETIONS and not busy else ""
    if busy:
        return ""
    if desktop.state == DesktopState.RESETTING:
        return "reset_done" if desktop.pk in look.resets_done else "break" if its_fault or not whole else ""
    if desktop.state == DesktopState.FREE:
        gone = desktop.vm.state == VmState.BROKEN or desktop.vm.power_state == PowerState.MISSING
        # While nothing in the pool starts, it is not this desktop that is broken.
        return "break" if gone or (its_fault and not found.tries) else ""
    return ""


def _move(pool: Pool, desktop: Desktop, event: str, look: Look) -> bool:
    """Move it, in the look as well; False when it had been moved by somebody else, so that it must be read again."""
    now = clock.now()
    if not _moved(event).run(pk=desktop.pk, changed_at=now, failures=look.failed(desktop.pk).count):
        return False
    publish("desktop", desktop.pk, event)
    error = look.failed(desktop.pk).error
    note(desktop, event)
    desktop.changed_at = now
    look.forget(desktop.pk)
    if DESKTOP.transitions[event].target == DesktopState.BROKEN:
        cause = str(error.get("message") or N_("its machine is not there as it should be"))
        record(
            "desktop.broken",
            actor=trouble.builder(pool),
            subject=desktop,
            severity="warning",
            message=N_("%(name)s is broken and not handed out: %(cause)s"),
            name=desktop.vm.name,
            cause=cause % error["params"] if error.get("params") else cause,
            explanation=error or None,
        )
    return True


@cache
def _moved(event: str) -> Statement:
    rows = written(Desktop).filter(pk=Given("pk"))
    return Statement(lambda: DESKTOP.attempt(rows, event, **given(Desktop, "changed_at", "failures")))


def _remove(pool: Pool) -> None:
    record(
        "pool.deleted",
        actor=trouble.builder(pool),
        subject=pool,
        message=N_("The pool %(pool)s was deleted"),
        pool=pool,
    )
    Grant.objects.filter(object_kind="pool", object_id=pool.pk).delete()
    publish("pool", pool.pk, "deleted")
    Pool.objects.filter(pk=pool.pk).delete()
