"""Give a desktop back to its pool."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require, within
from broker.core.text import gettext_noop as N_
from pools.holding import take_back
from pools.models import Desktop, Pool


@transaction.atomic
def release(*, actor: Actor, desktop: Desktop, reason: str = "") -> Desktop:
    """End the holding: a stateless desktop is reset, a stateful one is free as it is. Returns the desktop.

    The holder of an automatic pool's desktop may; a manual pool's is taken back only by who manages the pool.
    Consoles to it end by themselves. Raises Missing, Denied, or Conflict when nobody has it.
    """
    pool = desktop.pool
    own = actor.user_id is not None and desktop.holder_id == actor.user_id
    if not (own and pool.kind == Pool.Kind.AUTOMATIC and within(actor, "pool.use", pool)):
        require(actor, "pool.manage", pool)
    take_back(actor, desktop, pool, reason=reason or (N_("given back") if own else N_("taken back")))
    return desktop
