"""Give a certain desktop to a certain user."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, OverQuota
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.virt.actions.start_vm import WHEN, start_vm
from broker.virt.asking import require_usable
from pools.admission import admit, enter
from pools.holding import hand_over
from pools.models import Desktop, Pool
from pools.states import POOL
from pools.wake import wake


@transaction.atomic
def assign(*, actor: Actor, desktop: Desktop, user: User) -> Desktop:
    """Give the free `desktop` to `user`, entitled to the pool or not: having it is the right to use it.

    In a pool that is booked as its user would get one: by a booking, or until others need it.
    A desktop of an automatic pool is started, for one that is off goes back. Raises Missing, Denied, Conflict
    (not free, the pool is being deleted, the user is disabled) or OverQuota.
    """
    pool = desktop.pool
    require(actor, "pool.manage", pool)
    require_usable(desktop.vm, physical=True)
    if not POOL.is_(pool.state, "open"):
        raise Conflict(
            N_("The pool %(pool)s is being deleted."),
            rule="pool.open",
            about=pool,
            fix=N_("Choose another one."),
            pool=str(pool),
        )
    owner = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if not owner.is_active:
        raise Conflict(
            N_("%(user)s is disabled."),
            rule="user.active",
            about=owner,
            fix=N_("Enable the user first."),
            user=owner.username,
        )
    if Desktop.objects.filter(pool=pool, holder=owner).count() >= pool.max_per_user:
        raise OverQuota(
            N_("%(user)s has %(most)s of %(pool)s already; more are not allowed."),
            rule="pool.most-per-user",
            fix=N_("Take one back first, or raise the pool's limit."),
            user=owner.username,
            most=pool.max_per_user,
            pool=str(pool),
        )
    entry = admit(owner, pool)
    if not hand_over(actor, desktop, owner, how="assigned"):
        raise Conflict(
            N_("%(name)s is not free."),
            rule="desktop.free",
            about=desktop.vm,
            fix=N_("Choose another desktop, or wait until it is given back."),
            name=desktop.vm.name,
        )
    enter(entry, desktop, pool)
    if pool.kind == Pool.Kind.AUTOMATIC and desktop.vm.power_state in WHEN:
        start_vm(actor=actor, vm=desktop.vm)
    wake(pool.pk)
    return desktop
