"""Delete a pool with all its desktops."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, Reason
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from pools.holding import take_back
from pools.models import Desktop, Pool
from pools.shrinking import cancel_all
from pools.states import POOL
from pools.wake import wake

MOST_NAMED = 20


@transaction.atomic
def delete_pool(*, actor: Actor, pool: Pool, force: bool = False) -> Pool:
    """Hand out nothing more and remove the desktops; the pool goes with the last of them. Returns the pool.

    Refused while it is protected. Refused with the names of the holders while desktops are in use; `force` takes
    those away from their users, and cancels what is booked.
    Raises Missing, Denied or Conflict.
    """
    require(actor, "pool.manage", pool)
    if pool.protected:
        raise Conflict(
            N_("%(pool)s is protected against being deleted."),
            rule="pool.protected",
            about=pool,
            fix=N_("Take the protection away in its settings first."),
            pool=str(pool),
        )
    POOL.move(pool, "delete")
    held = list(Desktop.objects.filter(pool=pool, holder__isnull=False).select_related("vm", "holder"))
    if held and not force:
        raise Conflict(
            N_("%(count)s desktops of %(pool)s are in use, by %(holders)s."),
            rule="desktop.in-use",
            fix=N_("Ask them to give their desktops back, or delete the pool with force: what they have open is lost."),
            reasons=tuple(
                Reason(
                    desktop.vm.name,
                    "desktop.in-use",
                    N_("%(user)s has it"),
                    kind="vm",
                    id=desktop.pk,
                    words=N_("in use"),
                    user=desktop.holder,
                )
                for desktop in held
            ),
            count=len(held),
            pool=str(pool),
            holders=", ".join(sorted({str(desktop.holder) for desktop in held})[:MOST_NAMED]),
        )
    if pool.booked:
        cancel_all(actor, pool, force=force)
    for desktop in held:
        take_back(actor, desktop, pool, reason=N_("the pool is deleted"), discard=True)
    record("pool.delete.asked", actor=actor, subject=pool, message=N_("The pool %(pool)s is being deleted"), pool=pool)
    publish("pool", pool.pk, "deleting")
    wake(pool.pk)
    return pool
