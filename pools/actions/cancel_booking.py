"""Cancel a booking, or end a time that is blocked."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import may, require, require_within
from broker.core import clock
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.virt import names
from pools.booked import lock_pool, rules_for
from pools.booking_checks import check_still_free_to_change
from pools.cancelling import cancel
from pools.models import Booking
from pools.states import BookingState


@transaction.atomic
def cancel_booking(*, actor: Actor, booking: Booking, reason: str = "") -> Booking:
    """One's own until the pool's bound before it begins, those of others with "pool.manage"; `reason` is told them.

    Returns the booking. Raises Missing, Denied, Invalid, or Conflict (too late, or begun or gone meanwhile).
    """
    pool = booking.pool
    others = actor.user_id is None or booking.user_id != actor.user_id
    if others:
        require(actor, "pool.manage", pool)
    else:
        require(actor, "pool.view", pool)
        require_within(actor, "pool.use", pool)
    said = names.title(reason, field="reason", longest=200)
    lock_pool(pool)
    booking.refresh_from_db(fields=["state", "start", "end"])
    if booking.state != BookingState.BOOKED:
        raise Conflict(
            N_("This booking has begun, is over or was cancelled already."), rule="booking.open", about=pool,
            fix=N_("Give the desktop back to end it now."),
        )  # fmt: skip
    if not may(actor, "pool.manage", pool):
        check_still_free_to_change(rules_for(pool), booking, clock.now())
    cancel(actor, booking, said or (N_("no reason was given") if others else ""))
    return booking
