"""Bring a pool back to the template version it was on before its last rollout."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core import clock
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt.states import VERSION
from pools.actions.edit_pool import edit_pool
from pools.models import Pool, Rollout
from pools.states import ROLLOUT
from pools.versions import wanted_version


@transaction.atomic
def roll_back(*, actor: Actor, pool: Pool) -> Pool:
    """Pin the previous version: desktops that went over go back the same way. Returns the pool.

    A pool that followed the newest version no longer does, until somebody says so again.
    Raises Missing, Denied, or Conflict (nothing to go back to, or the previous version is no longer there).
    """
    require(actor, "pool.manage", pool)
    last = Rollout.objects.filter(pool=pool).select_related("previous__template").first()
    wanted = wanted_version(pool)
    if last is None or wanted is None or last.version_id != wanted.pk:
        raise Conflict(
            N_("%(pool)s did not go over to the version it has now."), rule="rollout.none", about=pool,
            fix=N_("Choose the version you want in the pool's form."), pool=str(pool),
        )  # fmt: skip
    if last.previous is None or not VERSION.is_(last.previous.state, "usable"):
        raise Conflict(
            N_("Version %(number)s, which %(pool)s was on before, is not there any more."),
            rule="version.usable", about=pool,
            fix=N_("Choose another version in the pool's form."), pool=str(pool), number=last.numbers[0],
        )  # fmt: skip
    if ROLLOUT.is_(last.state, "open"):
        # Ended before the next begins, so that one that was stopped does not hold up the way back.
        ROLLOUT.move(last, "end", ended_at=clock.now(), cause=None)
    edit_pool(actor=actor, pool=pool, version=last.previous)
    record(
        "rollout.rolled-back", actor=actor, subject=pool, severity="warning",
        message=N_("%(pool)s goes back from version %(number)s to %(version)s"), pool=pool, number=last.numbers[-1],
        version=last.previous,
    )  # fmt: skip
    publish("pool", pool.pk, "rollout")
    return pool
