"""Give a user a desktop of a pool: the verb behind Connect."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, Denied, NoCapacity
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.events.record import record
from broker.sql import Given, Statement
from pools.bringing_up import Allocation, bring_up
from pools.handing_out import hand_out, lock
from pools.holding import running
from pools.models import Desktop, Pool
from pools.states import POOL
from pools.wake import wake

_MINE = Statement(lambda: Desktop.objects.filter(holder=Given("user"), pool=Given("pool")).order_by().values_list("pk"))
_OWN = Statement(
    lambda: Desktop.objects.filter(holder=Given("user"), pool=Given("pool")).select_related("vm").order_by()
)


def allocate(*, actor: Actor, pool: Pool) -> Allocation:
    """The actor's desktop of `pool`: a running one at once, else one that is being started.

    Who has as many as the pool allows gets one of those again. Raises Missing or Denied, Conflict (the pool is
    being deleted, or the actor's desktop cannot be started now), and NoCapacity with what was looked at.
    """
    require(actor, "pool.use", pool)
    if actor.user is None:
        raise Denied(N_("Only a user can have a desktop."), rule="access.user", fix=N_("Sign in as a user."))
    if not POOL.is_(pool.state, "open"):
        raise Conflict(
            N_("The pool %(pool)s is being deleted."),
            rule="pool.open",
            about=pool,
            fix=N_("Ask your administrator for another one."),
            pool=str(pool),
        )
    try:
        with transaction.atomic():
            return _allocate(actor, actor.user, pool)
    except NoCapacity as refusal:
        _tell(actor, pool, refusal)
        raise


def _allocate(actor: Actor, user: User, pool: Pool) -> Allocation:
    lock(user)
    if len(_MINE.rows(user=user.pk, pool=pool.pk)) >= pool.max_per_user:
        return bring_up(actor, max(_OWN.objects(user=user.pk, pool=pool.pk), key=running))
    return hand_out(actor, user, pool)


def _tell(actor: Actor, pool: Pool, refusal: NoCapacity) -> None:
    """The refusal took back everything; that it happened is written down on its own."""
    with transaction.atomic():
        record(
            "pool.exhausted",
            actor=actor,
            subject=pool,
            severity="warning",
            message=N_("%(user)s got no desktop of %(pool)s: %(cause)s"),
            user=actor.name,
            pool=pool,
            cause=refusal.message,
            explanation=refusal.as_dict(),
        )
        wake(pool.pk)
