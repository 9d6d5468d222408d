"""What may be asked of a meta-pool: every value of its form, checked once, here."""

from collections.abc import Sequence
from typing import Any

from django.db.models import F

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_

from .models import MetaMember, MetaPool, Pool
from .models.meta_pool import MOST_MEMBERS
from .values import checked

EDITABLE = frozenset({"title", "description", "policy", "max_per_user"})


def checked_meta(**values: Any) -> dict[str, Any]:
    """The values as they may be written; raises Invalid naming the field."""
    if "policy" in values and values["policy"] not in MetaPool.Policy.values:
        raise Invalid(N_("There is no such policy."), field="policy", fix=N_("Choose priority, even or most-free."))
    return checked(**values)


def set_members(actor: Actor, meta: MetaPool, pools: Sequence[Pool]) -> bool:
    """Let the meta-pool have these, in this order; returns whether that changes anything.

    Whoever adds a pool hands out its desktops, so they must manage it. Raises Missing, Denied or Invalid.
    """
    if len({pool.pk for pool in pools}) != len(pools):
        raise Invalid(N_("A pool is named twice."), field="pools", fix=N_("Name each pool once."))
    if len(pools) > MOST_MEMBERS:
        raise Invalid(
            N_("These are too many pools."), field="pools", fix=N_("Use at most %(most)s."), most=MOST_MEMBERS
        )
    before = list(MetaMember.objects.filter(meta=meta).order_by("position", "pk").values_list("pool_id", flat=True))
    for pool in pools:
        if pool.pk not in before:
            require(actor, "pool.manage", pool)
    wanted = [pool.pk for pool in pools]
    if wanted == before:
        return False
    MetaMember.objects.filter(meta=meta).exclude(pool__in=wanted).delete()
    for position, pk in enumerate(wanted, start=1):
        MetaMember.objects.update_or_create(meta=meta, pool_id=pk, defaults={"position": position})
    MetaPool.objects.filter(pk=meta.pk).update(revision=F("revision") + 1)
    return True
