"""Serve the queue: what is free goes to who has waited longest and is still there.

Called by reconcile under the lock of the pool's row, so that one at a time gives away what a queue waits for.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from uuid import UUID

from django.db import transaction
from django.db.models import Case, Exists, Q, Value, When

from broker.access.actor import Actor
from broker.access.require import require
from broker.core import clock
from broker.core.errors import BerthError, Denied, OverQuota
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.events.news import publish
from broker.events.record import record
from broker.sql import Given, Statement
from broker.virt.driver import PowerState
from broker.virt.states import VmState

from .admission import admit, enter
from .bringing_up import bring_up
from .holding import hand_over, jobs_on_desktops, take_back
from .hours import opening_of
from .meta import held_of
from .models import Desktop, Pool, PoolWaiter
from .physical import ready
from .queue import PATIENCE, UNCLAIMED, waiting
from .silence import on_silent_host
from .states import POOL, DesktopState
from .wake import wake

log = logging.getLogger(__name__)
_NOT_COMING_UP = (PowerState.PAUSED, PowerState.MISSING)


def serve(pool: Pool) -> bool:
    """Give free desktops to those who wait, in their order; returns whether anything was given or taken back.

    Who has gone away loses the place, and what came for them and was not fetched goes back.
    """
    if not _ANYBODY.rows(pool=pool.pk):
        return False
    rows = PoolWaiter.objects.filter(pool=pool)
    changed = _tidy(pool)
    if not POOL.is_(pool.state, "open") or not opening_of(pool).open:
        rows.filter(desktop__isnull=True).delete()
        return changed
    free = _free(pool)
    desktop = next(free, None)
    for waiter in waiting(pool).select_related("user"):
        if desktop is None:
            break
        # Somebody who is just doing something else with this pool is waited for: nobody may overtake.
        if not _lock(waiter.user):
            wake(pool.pk)
            break
        if not _entitled(pool, waiter):
            continue
        try:
            while desktop is not None and not _give(pool, waiter, desktop):
                desktop = next(free, None)
        except (Denied, OverQuota) as error:
            _send_away(pool, waiter, error)
            continue
        if desktop is not None:
            changed = True
            desktop = next(free, None)
    return changed


_ANYBODY = Statement(lambda: PoolWaiter.objects.filter(pool=Given("pool")).order_by().values_list("pk")[:1])


def _tidy(pool: Pool) -> bool:
    now = clock.now()
    PoolWaiter.objects.filter(pool=pool, desktop__isnull=True, seen_at__lte=now - PATIENCE).delete()
    came_to_nobody = PoolWaiter.objects.filter(pool=pool, desktop__isnull=False, seen_at__lte=now - UNCLAIMED)
    taken_back = False
    for waiter in came_to_nobody.select_related("desktop__vm", "desktop__holder"):
        give_back(pool, waiter, actor=Actor.system("pools"), reason=N_("not fetched"))
        taken_back = True
    return taken_back


def give_back(pool: Pool, waiter: PoolWaiter, *, actor: Actor, reason: str) -> None:
    """Remove the waiter's row; what came for the user and was not fetched goes back to the pool."""
    desktop = waiter.desktop
    waiter.delete()
    if desktop is not None and desktop.holder_id == waiter.user_id and pool.kind == Pool.Kind.AUTOMATIC:
        take_back(actor, desktop, pool, reason=reason)


def _lock(user: User) -> bool:
    rows = User.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=user.pk)
    return bool(list(rows.values_list("pk").order_by()))


def _free(pool: Pool) -> Iterator[Desktop]:
    """What can be given away, the readiest first; each is looked at when its turn comes."""
    coming = Exists(jobs_on_desktops(bringing_up=True))
    rows = Desktop.objects.filter(pool=pool, state=DesktopState.FREE, vm__state=VmState.READY)
    if pool.is_physical:
        yield from _locked(ready(rows).values_list("pk", flat=True))
        return
    rows = rows.filter(~Exists(jobs_on_desktops(bringing_up=False))).exclude(
        ~Q(coming), vm__power_state__in=_NOT_COMING_UP
    )
    rows = rows.alias(silent=on_silent_host()).filter(silent=False)
    readiness = Case(
        When(vm__power_state=PowerState.RUNNING, then=Value(0)),
        When(vm__power_state=PowerState.SUSPENDED, then=Value(1)),
        When(coming, then=Value(2)),
        default=Value(3),
    )
    yield from _locked(rows.order_by(readiness, "failures", "number").values_list("pk", flat=True))


def _locked(ids: Iterable[UUID]) -> Iterator[Desktop]:
    for pk in list(ids):
        lock = Desktop.objects.select_for_update(of=("self",), skip_locked=True, no_key=True)
        if found := lock.filter(pk=pk, state=DesktopState.FREE).select_related("vm", "pool").first():
            yield found


def _entitled(pool: Pool, waiter: PoolWaiter) -> bool:
    """Whether the waiter may still have one; who may not waits no longer."""
    via, actor = waiter.via, Actor.for_user(waiter.user)
    try:
        if via is None:
            require(actor, "pool.use", pool)
        else:
            require(actor, "meta-pool.use", via)
        admit(waiter.user, pool)
    except BerthError as error:
        _send_away(pool, waiter, error)
        return False
    if via is not None and len(held_of(waiter.user, via)) >= via.max_per_user:
        waiter.delete()
        return False
    if Desktop.objects.filter(pool=pool, holder=waiter.user).count() >= pool.max_per_user:
        waiter.delete()
        return False
    return True


def _give(pool: Pool, waiter: PoolWaiter, desktop: Desktop) -> bool:
    """Whether the desktop is the waiter's now. Raises Denied or OverQuota when that is the waiter's fault."""
    actor = replace(Actor.for_user(waiter.user), asked_at=waiter.joined_at)
    try:
        with transaction.atomic():
            entry = admit(waiter.user, pool)
            if not hand_over(actor, desktop, waiter.user, how="allocated"):
                return False
            enter(entry, desktop, pool)
            bring_up(actor, desktop)
    except (Denied, OverQuota):
        raise
    except BerthError as error:
        log.warning("%s cannot be given to who waits for it: %s", desktop.vm.name, error)
        return False
    PoolWaiter.objects.filter(pk=waiter.pk).update(desktop=desktop)
    publish("pool", pool.pk, "served")
    return True


def _send_away(pool: Pool, waiter: PoolWaiter, error: BerthError) -> None:
    waiter.delete()
    record(
        "pool.queue.left",
        actor=Actor.system("pools"),
        subject=pool,
        message=N_("%(user)s waits no longer for a desktop of %(pool)s: %(cause)s"),
        user=waiter.user.username,
        pool=pool,
        cause=error.message,
        explanation=error.as_dict(),
    )
