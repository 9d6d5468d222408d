"""What a door's Connect does: take a desktop when there is one, else wait for one."""

from collections.abc import Callable

from broker.access.actor import Actor
from broker.core.errors import NoCapacity
from broker.sql import Given, Statement

from .actions.join_queue import join_queue
from .bringing_up import Allocation
from .models import Pool, PoolWaiter
from .queue import Place, worth_waiting

_WAITS = Statement(
    lambda: PoolWaiter.objects.filter(pool=Given("pool"), user=Given("user")).order_by().values_list("pk")
)


def take_or_wait(take: Callable[..., Allocation], *, actor: Actor, pool: Pool) -> Allocation | Place:
    """A desktop of the actor's, or the actor's place in the queue; asking again keeps the place.

    `take` is the action `allocate`, named by the door that calls it. Raises as both do.
    """
    if actor.user is not None and _WAITS.rows(pool=pool.pk, user=actor.user.pk):
        return join_queue(actor=actor, pool=pool)
    try:
        return take(actor=actor, pool=pool)
    except NoCapacity:
        if not worth_waiting(pool):
            raise
    return join_queue(actor=actor, pool=pool)
