"""What Connect on a meta-pool does: take a desktop of one of its pools, else wait in the queue of one of them."""

from collections.abc import Callable, Sequence
from uuid import UUID

from broker.access.actor import Actor
from broker.core.errors import Conflict, NoCapacity
from broker.directories.models import User

from .actions.join_queue import join_queue
from .admission import admissible
from .hours import opening_of
from .meta import Given, standings
from .models import MetaPool, Pool, PoolWaiter
from .queue import Place, gone_before, place_of, worth_waiting


def take_or_wait_meta(take: Callable[..., Given], *, actor: Actor, meta: MetaPool) -> Given | Place:
    """A desktop of the actor's, or the actor's place in the queue of one member; asking again keeps the place.

    Each time all members are asked first, so that who waits at one is served by another that has a desktop by then;
    nobody overtakes, for a pool in whose queue somebody stands gives none. `take` is the action `allocate_meta`,
    named by the door that calls it. Raises as both do.
    """
    waiter = PoolWaiter.objects.filter(via=meta, user=actor.user).select_related("pool").first() if actor.user else None
    if waiter is not None and waiter.desktop_id is not None:
        return _joined(actor, waiter.pool, meta)
    try:
        given = take(actor=actor, meta=meta)
    except NoCapacity:
        found = _wait(actor, meta, waiter)
        if found is None:
            raise
        return found
    # One that comes at this moment is not thrown away with the place: not fetched, it goes back by itself.
    PoolWaiter.objects.filter(via=meta, user=actor.user, desktop__isnull=True).delete()
    PoolWaiter.objects.filter(via=meta, user=actor.user, desktop=given.allocation.desktop).delete()
    return given


def _wait(actor: Actor, meta: MetaPool, waiter: PoolWaiter | None) -> Given | Place | None:
    """The place kept, or one in the queue of the first member worth waiting for; None when none is."""
    if waiter is not None:
        try:
            return _joined(actor, waiter.pool, meta)
        except (Conflict, NoCapacity):
            PoolWaiter.objects.filter(pk=waiter.pk, desktop__isnull=True).delete()
    for member in standings(meta):
        if opening_of(member.pool).open and admissible(actor.user, member.pool) and worth_waiting(member.pool):
            return _joined(actor, member.pool, meta)
    return None


def _joined(actor: Actor, pool: Pool, meta: MetaPool) -> Given | Place:
    found = join_queue(actor=actor, pool=pool, via=meta)
    return found if isinstance(found, Place) else Given(found, {})


def meta_places_of(user: User, metas: Sequence[UUID]) -> dict[UUID, Place]:
    """Where the user waits through these meta-pools, by meta-pool. One query when nowhere."""
    rows = PoolWaiter.objects.filter(user=user, via__in=metas, seen_at__gt=gone_before())
    return {row.via_id: place_of(row, row.pool) for row in rows.select_related("pool__template") if row.via_id}
