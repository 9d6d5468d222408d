"""Book a desktop of a pool for a time."""

from datetime import datetime

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import may, require
from broker.core import clock
from broker.core.errors import Conflict, Denied
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.events.news import publish
from broker.events.record import record
from pools.booked import lock_pool, open_rows, require_booked
from pools.booking_checks import check_bounds, check_person, check_room, checked_times
from pools.models import Booking, Pool
from pools.wake import wake


@transaction.atomic
def book(*, actor: Actor, pool: Pool, start: datetime, end: datetime, user: User | None = None) -> Booking:
    """For `user`, else for the actor, from `start` to `end` (aware; seconds are dropped). Returns the booking.

    For others it takes "pool.manage", and their number of open bookings is not looked at; they must be able to use the
    pool. Raises Missing, Denied, Invalid, OverQuota, or Conflict (not booked, closed, no desktop free then).
    """
    require(actor, "pool.use", pool)
    whose = user or actor.user
    if whose is None:
        raise Denied(N_("Only a user can have a desktop."), rule="access.user", fix=N_("Sign in as a user."))
    others = whose.pk != actor.user_id
    if others:
        require(actor, "pool.manage", pool)
        _check_other(whose, pool)
    lock_pool(pool)
    pool.refresh_from_db(fields=["booked", "size", "state", "hours", "max_per_user"])
    rules, now = require_booked(pool), clock.now()
    start, end = checked_times(start, end, now)
    check_bounds(rules, start, end, now)
    rows = list(open_rows(rules, now))
    check_person(rules, rows, whose, start, end, free=others)
    check_room(rules, rows, start, end, now)
    booking = Booking.objects.create(pool=pool, user=whose, start=start, end=end, by=actor.name[:255])
    record(
        "booking.made", actor=actor, subject=pool,
        message=N_("%(user)s has booked a desktop of %(pool)s from %(start)s to %(end)s UTC"),
        user=whose.username, pool=pool, start=f"{start:%Y-%m-%d %H:%M}", end=f"{end:%Y-%m-%d %H:%M}",
    )  # fmt: skip
    publish("pool", pool.pk, "bookings")
    wake(pool.pk)
    return booking


def _check_other(user: User, pool: Pool) -> None:
    if not user.is_active:
        raise Conflict(
            N_("%(user)s is disabled."), rule="user.active", about=user, fix=N_("Enable the user first."),
            user=user.username,
        )  # fmt: skip
    if not may(Actor.for_user(user), "pool.use", pool):
        raise Conflict(
            N_("%(user)s has no right to take a desktop of %(pool)s."), rule="access.right", about=user,
            fix=N_("Add the user, or one of the user's groups, on the page of the pool."),
            user=user.username, pool=str(pool),
        )  # fmt: skip
