"""Stop a pool's going over to another template version, where it is."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from pools.models import Pool, Rollout
from pools.rollout import require_open, stop


@transaction.atomic
def stop_rollout(*, actor: Actor, pool: Pool) -> Rollout:
    """No further desktop is rebuilt; what is made or reset meanwhile stays of its version. Returns the rollout.

    Raises Missing, Denied or Conflict (there is none, or it is stopped).
    """
    require(actor, "pool.manage", pool)
    rollout = require_open(pool)
    stop(rollout)
    record(
        "rollout.stopped", actor=actor, subject=pool,
        message=N_("The rollout of %(pool)s to version %(number)s was stopped"), pool=pool, number=rollout.numbers[-1],
    )  # fmt: skip
    return rollout
