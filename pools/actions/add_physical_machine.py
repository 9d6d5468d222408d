"""Put a physical PC into a pool."""

from django.db import transaction
from django.db.models import Max

from broker.access.actor import Actor
from broker.access.require import require
from broker.core import clock
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt.models import PhysicalMachine
from pools.models import Desktop, Pool
from pools.physical import count
from pools.states import DESKTOP, POOL
from pools.wake import wake


@transaction.atomic
def add_physical_machine(*, actor: Actor, pool: Pool, pc: PhysicalMachine) -> Desktop:
    """It is handed out from now on. Raises Missing, Denied, or Conflict: it is in a pool, or the pool is not for it."""
    require(actor, "pool.manage", pool)
    require(actor, "host.manage", pc)
    pool = Pool.objects.select_for_update(of=("self",), no_key=True).get(pk=pool.pk)
    if not pool.is_physical or not POOL.is_(pool.state, "open"):
        raise Conflict(
            N_("%(pool)s is no pool that PCs can be put into."), rule="pool.physical", about=pool,
            fix=N_("Choose a pool of physical PCs that is not being deleted."), pool=str(pool),
        )  # fmt: skip
    if pc.vm.cluster_id != pool.cluster_id:
        raise Conflict(
            N_("%(name)s belongs to another cluster."), rule="pool.cluster", about=pool,
            fix=N_("Choose a pool of the PC's cluster."), name=pc.name,
        )  # fmt: skip
    there = Desktop.objects.filter(pk=pc.pk).select_related("pool").first()
    if there is not None:
        raise Conflict(
            N_("%(name)s is in the pool %(pool)s already."), rule="desktop.pool",
            fix=N_("Remove it there first."), name=pc.name, pool=str(there.pool),
        )  # fmt: skip
    last = Desktop.objects.filter(pool=pool).aggregate(last=Max("number"))["last"] or 0
    desktop = Desktop.objects.create(vm=pc.vm, pool=pool, number=last + 1)
    DESKTOP.move(desktop, "built", changed_at=clock.now())
    count(pool)
    record(
        "desktop.added", actor=actor, subject=desktop, message=N_("%(name)s was put into %(pool)s"), name=pc.name,
        pool=pool,
    )  # fmt: skip
    publish("desktop", desktop.pk, "built")
    wake(pool.pk)
    return desktop
