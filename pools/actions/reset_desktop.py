"""Give a desktop that nobody has fresh disks."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt.asking import require_usable
from pools.models import Desktop
from pools.states import DESKTOP
from pools.wake import wake


@transaction.atomic
def reset_desktop(*, actor: Actor, desktop: Desktop) -> Desktop:
    """Have it reset to its template; also the way back for a broken one whose machine is whole.

    Raises Missing, Denied, or Conflict (somebody has it, or its machine is not usable).
    """
    require(actor, "pool.manage", desktop.pool)
    require_usable(desktop.vm)
    DESKTOP.move(desktop, "reset", changed_at=clock.now(), failures=0)
    record("desktop.reset", actor=actor, subject=desktop, message=N_("%(name)s is to be reset"), name=desktop.vm.name)
    publish("desktop", desktop.pk, "resetting")
    wake(desktop.pool_id)
    return desktop
