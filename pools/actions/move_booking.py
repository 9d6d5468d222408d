"""Move a booking to another time."""

from datetime import datetime

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import may, require
from broker.core import clock
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from pools.booked import lock_pool, open_rows, require_booked
from pools.booking_checks import (
    check_bounds,
    check_person,
    check_room,
    check_still_free_to_change,
    checked_times,
)
from pools.models import Booking
from pools.states import BookingState
from pools.wake import wake


@transaction.atomic
def move_booking(*, actor: Actor, booking: Booking, start: datetime, end: datetime) -> Booking:
    """One's own until the pool's bound before it begins, those of others with "pool.manage". Returns it as it is now.

    Raises Missing, Denied, Invalid, OverQuota, or Conflict (too late, begun or gone meanwhile, no desktop free then).
    """
    pool = booking.pool
    if actor.user_id is None or booking.user_id != actor.user_id:
        require(actor, "pool.manage", pool)
    else:
        require(actor, "pool.use", pool)
    lock_pool(pool)
    pool.refresh_from_db(fields=["booked", "size", "state", "hours", "max_per_user"])
    rules, now = require_booked(pool), clock.now()
    rows = list(open_rows(rules, now).select_related("user"))
    present = next((row for row in rows if row.pk == booking.pk), None)
    if present is None or present.state != BookingState.BOOKED or present.user is None:
        raise Conflict(
            N_("This booking cannot be moved any more: it has begun, is over or was cancelled."), rule="booking.open",
            about=pool, fix=N_("Book another time."),
        )  # fmt: skip
    manages = may(actor, "pool.manage", pool)
    if not manages:
        check_still_free_to_change(rules, present, now)
    start, end = checked_times(start, end, now)
    check_bounds(rules, start, end, now)
    others = [row for row in rows if row.pk != booking.pk]
    check_person(rules, others, present.user, start, end, free=True)
    check_room(rules, others, start, end, now)
    Booking.objects.filter(pk=booking.pk).update(start=start, end=end)
    record(
        "booking.moved", actor=actor, subject=pool,
        message=N_("The booking of %(user)s of %(pool)s was moved: from %(before)s to %(start)s – %(end)s UTC"),
        user=present.user.username, pool=pool, before=f"{present.start:%Y-%m-%d %H:%M}",
        start=f"{start:%Y-%m-%d %H:%M}", end=f"{end:%Y-%m-%d %H:%M}",
    )  # fmt: skip
    publish("pool", pool.pk, "bookings")
    wake(pool.pk)
    booking.refresh_from_db()
    return booking
