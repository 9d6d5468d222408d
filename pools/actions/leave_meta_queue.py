"""Wait no longer for a desktop of a meta-pool."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from pools.models import MetaPool, PoolWaiter
from pools.serving import give_back


@transaction.atomic
def leave_meta_queue(*, actor: Actor, meta: MetaPool) -> bool:
    """Give up the actor's place, and the desktop if one came that was not fetched; returns whether there was one.

    Raises Missing or Denied.
    """
    require(actor, "meta-pool.use", meta)
    rows = PoolWaiter.objects.filter(via=meta, user=actor.user)
    waiters = list(rows.select_related("pool", "desktop__vm", "desktop__holder"))
    for waiter in waiters:
        give_back(waiter.pool, waiter, actor=actor, reason=N_("given back before it was used"))
    if waiters:
        record(
            "meta-pool.queue.left",
            actor=actor,
            subject=meta,
            message=N_("%(user)s waits no longer for a desktop of %(meta)s"),
            user=actor.name,
            meta=meta,
        )
    return bool(waiters)
