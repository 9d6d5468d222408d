"""Say how many desktops of a pool may be rebuilt at a time."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names
from pools.models import Pool, Rollout
from pools.models.rollout import MOST_AT_ONCE
from pools.rollout import require_open
from pools.wake import wake


@transaction.atomic
def pace_rollout(*, actor: Actor, pool: Pool, at_once: int) -> Rollout:
    """Write it down; it counts at once, and for the pool's next rollouts. Returns the rollout.

    Raises Missing, Denied, Invalid or Conflict (there is none).
    """
    require(actor, "pool.manage", pool)
    names.number(at_once, field="at_once", least=1, most=MOST_AT_ONCE)
    rollout = require_open(pool)
    Rollout.objects.filter(pk=rollout.pk).update(at_once=at_once)
    rollout.at_once = at_once
    record(
        "rollout.paced", actor=actor, subject=pool,
        message=N_("%(count)s desktops of %(pool)s may be rebuilt at a time"), pool=pool, count=at_once,
    )  # fmt: skip
    publish("pool", pool.pk, "rollout")
    wake(pool.pk)
    return rollout
