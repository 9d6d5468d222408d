"""What changes to a pool mean for what is booked of it: refused when they cannot both be, cancelled when forced."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import Conflict, Invalid, Reason
from broker.core.text import gettext_noop as N_

from .booked import intervals, open_rows, rules_for
from .booking import peak
from .cancelling import cancel
from .hours import moment
from .models import Booking, BookingRules, Pool
from .states import BookingState

MOST_NAMED = 20


def others_to_come(rules: BookingRules, now: datetime) -> QuerySet[Booking]:
    """What is booked, or blocked, and has not been come for."""
    return open_rows(rules, now).filter(state=BookingState.BOOKED).select_related("user", "pool")


def check_capacity(rules: BookingRules, capacity: int, now: datetime) -> None:
    """Raise Conflict, with the bookings, when at some instant to come more are booked than `capacity`."""
    rows = list(open_rows(rules, now).exclude(kind=Booking.Kind.BLOCK).select_related("user"))
    taken = intervals(rows)
    at = next((one.start for one in taken if peak(taken, one.start, one.end) > capacity), None)
    if at is None:
        return
    raise Conflict(
        N_("On %(when)s %(count)s desktops of %(pool)s are booked at once: more than there would be."),
        rule="booking.capacity",
        fix=N_("Cancel or move some of these bookings, or leave as many desktops."),
        reasons=tuple(_named(rules, row) for row in rows[:MOST_NAMED]),
        when=moment(at, rules.zone),
        count=max(peak(taken, one.start, one.end) for one in taken),
        pool=str(rules.pool),
    )


def check_still_bookable(pool: Pool, values: Mapping[str, Any]) -> None:
    """For an edit of a pool that is booked: its size may not fall below what is booked, and it stays automatic."""
    if values.get("kind", pool.kind) == Pool.Kind.MANUAL:
        raise Invalid(
            N_("Desktops of this pool are booked for a time: they cannot stay with their users."), field="kind",
            fix=N_("Switch bookings off first."),
        )  # fmt: skip
    size = values.get("size", pool.size)
    if size < pool.size:
        rules = rules_for(pool)
        check_capacity(rules, size, clock.now())


def cancel_all(actor: Actor, pool: Pool, *, force: bool) -> None:
    """For a pool that is being deleted. Raises Conflict while bookings are to come, unless `force` cancels them."""
    rules, now = rules_for(pool), clock.now()
    rows = list(others_to_come(rules, now))
    people = [row for row in rows if row.kind != Booking.Kind.BLOCK]
    if people and not force:
        raise Conflict(
            N_("%(count)s bookings of %(pool)s are still to come."), rule="booking.open",
            fix=N_("Cancel them first, or delete the pool with force: their users are told."),
            reasons=tuple(_named(rules, row) for row in people[:MOST_NAMED]), count=len(people), pool=str(pool),
        )  # fmt: skip
    for row in rows:
        cancel(actor, row, N_("the pool is deleted"))


def _named(rules: BookingRules, row: Booking) -> Reason:
    return Reason(
        str(rules.pool), "booking.open", N_("%(user)s from %(start)s to %(end)s"), kind="pool", id=rules.pool_id,
        words=N_("booked"), user=str(row.user), start=moment(row.start, rules.zone), end=moment(row.end, rules.zone),
    )  # fmt: skip
