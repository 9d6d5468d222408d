"""Make a meta-pool: several pools that users see as one."""

from collections.abc import Sequence

from django.db import IntegrityError, transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from pools.meta_values import checked_meta, set_members
from pools.models import MetaPool, Pool


@transaction.atomic
def create_meta_pool(
    *,
    actor: Actor,
    name: str,
    pools: Sequence[Pool],
    title: str = "",
    description: str = "",
    policy: str = MetaPool.Policy.PRIORITY,
    max_per_user: int = 1,
) -> MetaPool:
    """`pools` in the order in which they are asked; returns the meta-pool.

    It takes the right to manage meta-pools, and each of the pools. Raises Missing, Denied, Invalid, or Conflict when
    there is one of that name.
    """
    for pool in pools:
        require(actor, "pool.manage", pool)
    require(actor, "meta-pool.manage")
    values = checked_meta(
        name=name, title=title or name, description=description, policy=policy, max_per_user=max_per_user
    )
    try:
        with transaction.atomic():
            meta = MetaPool.objects.create(**values)
    except IntegrityError:
        raise Conflict(
            N_("There is a meta-pool called %(name)s already."),
            rule="name.unique",
            fix=N_("Choose another name."),
            name=name,
        ) from None
    set_members(actor, meta, pools)
    record(
        "meta-pool.created",
        actor=actor,
        subject=meta,
        message=N_("The meta-pool %(meta)s was made, of %(pools)s"),
        meta=meta,
        pools=", ".join(map(str, pools)),
    )
    publish("meta-pool", meta.pk, "created")
    meta.refresh_from_db()
    return meta
