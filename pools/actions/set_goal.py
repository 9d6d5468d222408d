"""Say within how many seconds people are to have a desktop of a pool."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names
from pools.models import Pool, PoolGoal
from pools.models.goal import LONGEST_GOAL


@transaction.atomic
def set_goal(*, actor: Actor, pool: Pool, seconds: int | None) -> Pool:
    """Draw the line at `seconds` (1 to an hour), or with None take it away. Raises Missing, Denied or Invalid."""
    require(actor, "pool.manage", pool)
    if seconds is None:
        PoolGoal.objects.filter(pool=pool).delete()
    else:
        wanted = names.number(seconds, field="seconds", least=1, most=LONGEST_GOAL)
        PoolGoal.objects.update_or_create(pool=pool, defaults={"seconds": wanted})
    record(
        "pool.goal-set",
        actor=actor,
        subject=pool,
        message=N_("The goal for time to desktop of %(pool)s is now %(seconds)s s"),
        pool=pool,
        seconds="–" if seconds is None else seconds,
    )
    publish("pool", pool.pk, "goal")
    return pool
