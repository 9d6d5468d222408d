"""Remove a meta-pool; its pools stay, and so does every desktop somebody has."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from pools.models import MetaPool, PoolWaiter
from pools.serving import give_back


@transaction.atomic
def delete_meta_pool(*, actor: Actor, meta: MetaPool) -> None:
    """Nobody gets a desktop through it any more; who waits through it waits no longer. Raises Missing or Denied."""
    require(actor, "meta-pool.manage", meta)
    waiters = PoolWaiter.objects.filter(via=meta).select_related("pool", "desktop__vm", "desktop__holder")
    for waiter in waiters:
        give_back(waiter.pool, waiter, actor=actor, reason=N_("the meta-pool was deleted"))
    record(
        "meta-pool.deleted",
        actor=actor,
        subject=meta,
        message=N_("The meta-pool %(meta)s was deleted; its pools stay"),
        meta=meta,
    )
    publish("meta-pool", meta.pk, "deleted")
    meta.delete()
