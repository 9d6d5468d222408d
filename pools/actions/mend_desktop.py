"""Say that a broken desktop is well again."""

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
def mend_desktop(*, actor: Actor, desktop: Desktop) -> Desktop:
    """Free it for use as it is. Raises Missing, Denied, or Conflict (not broken, or its machine is not usable)."""
    require(actor, "pool.manage", desktop.pool)
    require_usable(desktop.vm)
    DESKTOP.move(desktop, "mend", changed_at=clock.now(), failures=0)
    record(
        "desktop.mended", actor=actor, subject=desktop, message=N_("%(name)s can be used again"), name=desktop.vm.name
    )
    publish("desktop", desktop.pk, "mended")
    wake(desktop.pool_id)
    return desktop
