"""Wait no longer for a desktop of a pool."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from pools.models import Pool, PoolWaiter
from pools.serving import give_back


@transaction.atomic
def leave_queue(*, actor: Actor, pool: Pool) -> bool:
    """Give up the actor's place, and the desktop if one came that was not fetched yet; returns whether there was one.

    Raises Missing or Denied.
    """
    require(actor, "pool.use", pool)
    rows = PoolWaiter.objects.filter(pool=pool, user=actor.user)
    waiter = rows.select_related("desktop__vm", "desktop__holder").first()
    if waiter is None:
        return False
    give_back(pool, waiter, actor=actor, reason=N_("given back before it was used"))
    record(
        "pool.queue.left",
        actor=actor,
        subject=pool,
        message=N_("%(user)s waits no longer for a desktop of %(pool)s: %(cause)s"),
        user=actor.name,
        pool=pool,
        cause=N_("left the queue"),
    )
    return True
