"""Remove a desktop from its pool, with its machine."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt.asking import require_unprotected
from pools.models import Desktop
from pools.states import DESKTOP
from pools.wake import wake


@transaction.atomic
def retire_desktop(*, actor: Actor, desktop: Desktop) -> Desktop:
    """Have it deleted; the pool makes another in its place as long as it is smaller than wanted.

    Raises Missing, Denied, or Conflict while somebody has it or it is protected.
    """
    require(actor, "pool.manage", desktop.pool)
    require_unprotected(desktop.vm)
    DESKTOP.move(desktop, "retire", changed_at=clock.now(), failures=0)
    record(
        "desktop.retired", actor=actor, subject=desktop, message=N_("%(name)s is to be removed"), name=desktop.vm.name
    )
    publish("desktop", desktop.pk, "retiring")
    wake(desktop.pool_id)
    return desktop
