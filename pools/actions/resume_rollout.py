"""Let a pool's going over to another template version go on."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from pools.models import Pool, Rollout
from pools.rollout import require_open
from pools.states import ROLLOUT
from pools.wake import wake


@transaction.atomic
def resume_rollout(*, actor: Actor, pool: Pool) -> Rollout:
    """Desktops are rebuilt again. Returns the rollout. Raises Missing, Denied or Conflict (it is not stopped)."""
    require(actor, "pool.manage", pool)
    rollout = require_open(pool)
    ROLLOUT.move(rollout, "resume", cause=None, going_since=clock.now())
    record(
        "rollout.resumed", actor=actor, subject=pool,
        message=N_("The rollout of %(pool)s to version %(number)s goes on"), pool=pool, number=rollout.numbers[-1],
    )  # fmt: skip
    publish("pool", pool.pk, "rollout")
    wake(pool.pk)
    return rollout
