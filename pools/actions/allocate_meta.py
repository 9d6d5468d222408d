"""Give a user a desktop of one of a meta-pool's pools: the verb behind Connect on its card."""

from collections import Counter

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import BerthError, Denied, NoCapacity
from broker.core.reasons import counted, named
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.events.record import record
from pools.bringing_up import bring_up
from pools.handing_out import lock
from pools.holding import running
from pools.meta import POLICY, Given, ask, booked_first, held_of, none_serves, not_asked, refusal_of, standings
from pools.models import MetaPool, Pool, PoolWaiter
from pools.wake import wake


def allocate_meta(*, actor: Actor, meta: MetaPool) -> Given:
    """The actor's desktop: the one they have, else one of the first member, as the policy asks them, that can serve.

    Members that cannot (closed, without a free desktop or a host, over a limit) are passed over; each is in the
    event with its reason. Who has as many as the meta-pool allows, of all members together, gets one of those again.
    Raises Missing or Denied, Conflict (the actor's desktop cannot be started now), OverQuota, and NoCapacity with
    what each member said.
    """
    require(actor, "meta-pool.use", meta)
    if actor.user is None:
        raise Denied(N_("Only a user can have a desktop."), rule="access.user", fix=N_("Sign in as a user."))
    try:
        with transaction.atomic():
            return _allocate(actor, actor.user, meta)
    except NoCapacity as refusal:
        _tell(actor, meta, refusal)
        raise


def _allocate(actor: Actor, user: User, meta: MetaPool) -> Given:
    lock(user)
    held = held_of(user, meta)
    if len(held) >= meta.max_per_user:
        return Given(bring_up(actor, max(held, key=running)), {})
    of = Counter(desktop.pool_id for desktop in held)
    members = booked_first(user, standings(meta))
    refused: list[tuple[Pool, BerthError]] = []
    for index, member in enumerate(members, start=1):
        try:
            with transaction.atomic():
                allocation = ask(actor, user, member.pool, of[member.pool.pk])
        except BerthError as error:
            refused.append((member.pool, error))
            continue
        passed = [refusal_of(*one) for one in refused]
        reasons = [*passed, *(not_asked(meta, other) for other in members[index:])]
        why = {
            "rule": POLICY,
            "reasons": [reason.as_dict() for reason in named(reasons)],
            "counts": [count.as_dict() for count in counted(reasons)],
        }
        record(
            "meta-pool.served",
            actor=actor,
            subject=meta,
            message=N_("%(user)s got %(name)s of %(pool)s through %(meta)s"),
            user=user.username,
            name=allocation.desktop.vm.name,
            pool=member.pool,
            meta=meta,
            explanation=why,
        )
        return Given(allocation, why)
    raise none_serves(meta, refused)


def _tell(actor: Actor, meta: MetaPool, refusal: NoCapacity) -> None:
    """The refusal took back everything; that it happened is written down on its own, once for who waits then."""
    if PoolWaiter.objects.filter(via=meta, user=actor.user).exists():
        return
    with transaction.atomic():
        record(
            "meta-pool.exhausted",
            actor=actor,
            subject=meta,
            severity="warning",
            message=N_("%(user)s got no desktop of %(meta)s: %(cause)s"),
            user=actor.name,
            meta=meta,
            cause=refusal.message,
            explanation=refusal.as_dict(),
        )
        for pool_id in meta.pools.order_by().values_list("pk", flat=True):
            wake(pool_id)
