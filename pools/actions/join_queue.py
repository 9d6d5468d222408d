"""Wait for a desktop of a pool, and ask how that goes: the verb behind a page that waits."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core import clock
from broker.core.errors import Conflict, Denied
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.events.record import record
from pools.admission import admit
from pools.bringing_up import Allocation, bring_up
from pools.hours import require_open
from pools.models import MetaMember, MetaPool, Pool, PoolWaiter
from pools.queue import Place, place_of, worth_waiting
from pools.refusals import none_free
from pools.states import POOL
from pools.wake import wake


@transaction.atomic
def join_queue(*, actor: Actor, pool: Pool, via: MetaPool | None = None) -> Place | Allocation:
    """The actor's place in the queue, at its end at first; calling again keeps it. A desktop that came is returned.

    Who does not call again within `queue.PATIENCE` has gone away. `via`: the meta-pool of this pool whose right it
    is; without it, that on the pool itself. Raises Missing or Denied, Conflict (closed, not booked, or
    being deleted), and NoCapacity when no desktop can come.
    """
    if via is None:
        require(actor, "pool.use", pool)
    else:
        require(actor, "meta-pool.use", via)
        _check_member(pool, via)
    user = actor.user
    if user is None:
        raise Denied(N_("Only a user can have a desktop."), rule="access.user", fix=N_("Sign in as a user."))
    now = clock.now()
    waiter = PoolWaiter.objects.filter(pool=pool, user=user).select_related("desktop__vm").first()
    if waiter is not None and waiter.desktop is not None:
        came = waiter.desktop
        waiter.delete()
        if came.holder_id == user.pk:
            return bring_up(actor, came)
        waiter = None  # it was taken away meanwhile
    _check(user, pool)
    if waiter is None:
        waiter, new = PoolWaiter.objects.get_or_create(pool=pool, user=user, defaults={"seen_at": now, "via": via})
        if new:
            _tell(actor, pool)
            wake(pool.pk)
    else:
        PoolWaiter.objects.filter(pk=waiter.pk).update(seen_at=now)
    return place_of(waiter, pool)


def _check(user: User, pool: Pool) -> None:
    if not POOL.is_(pool.state, "open"):
        raise Conflict(
            N_("The pool %(pool)s is being deleted."),
            rule="pool.open",
            about=pool,
            fix=N_("Ask your administrator for another one."),
            pool=str(pool),
        )
    require_open(pool)
    admit(user, pool, lock=False)
    if not worth_waiting(pool):
        raise none_free(pool)


def _check_member(pool: Pool, via: MetaPool) -> None:
    if not MetaMember.objects.filter(meta=via, pool=pool).exists():
        raise Conflict(
            N_("%(pool)s is no longer one of the pools of %(meta)s."),
            rule="meta-pool.members",
            fix=N_("Connect again."),
            pool=str(pool),
            meta=str(via),
        )


def _tell(actor: Actor, pool: Pool) -> None:
    record(
        "pool.queue.joined",
        actor=actor,
        subject=pool,
        message=N_("%(user)s waits for a desktop of %(pool)s"),
        user=actor.name,
        pool=pool,
    )
