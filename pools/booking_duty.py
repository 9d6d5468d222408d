"""Duty: what time does to bookings. Level-triggered: each is looked at as it is, in a transaction of its own."""

import logging
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from broker.access.actor import Actor
from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record

from .booked import grace_of, lock_pool, rules_for
from .cancelling import cancel
from .keeping_holders import keep_holders
from .models import Booking, Desktop, Pool
from .states import BOOKING, BookingState
from .wake import wake

log = logging.getLogger(__name__)
ACTOR = Actor.system("pools.bookings")


def run() -> int:
    """The duty; returns how many bookings changed."""
    now = clock.now()
    rows = Booking.objects.filter(state__in=sorted(BOOKING.sets["open"]))
    odd = Q(start__lte=now, state=BookingState.BOOKED) | Q(user__is_active=False)
    odd |= Q(state=BookingState.TAKEN, desktop__isnull=True)
    changed = 0
    for pk in list(rows.filter(odd).values_list("pk", flat=True)):
        try:
            changed += _look(pk, now)
        except Exception:
            log.exception("Booking %s could not be looked at; it comes round again", pk)
    # Who connected at the moment at which bookings were switched on was let in by what counted before.
    unbooked = Desktop.objects.filter(pool__booked=True, holder__isnull=False, booking__isnull=True)
    for pool in Pool.objects.filter(pk__in=unbooked.order_by().values("pool")):
        changed += _keep(pool)
    return changed


@transaction.atomic
def _keep(pool: Pool) -> int:
    lock_pool(pool)
    return keep_holders(rules_for(pool), clock.now())


@transaction.atomic
def _look(pk: UUID, now: datetime) -> bool:
    booking = (
        Booking.objects.select_for_update(of=("self",)).select_related("pool", "user", "desktop").filter(pk=pk).first()
    )
    if booking is None or not BOOKING.is_(booking.state, "open"):
        return False
    if booking.state == BookingState.TAKEN:
        return booking.desktop is None and _over(booking, now)
    if booking.user is not None and not booking.user.is_active:
        cancel(ACTOR, booking, N_("its user is disabled"))
        return True
    if booking.kind == Booking.Kind.BLOCK:
        return booking.end <= now and _over(booking, now)
    if min(booking.end, booking.start + grace_of(rules_for(booking.pool))) > now:
        return False
    BOOKING.move(booking, "lapse")
    record(
        "booking.lapsed", actor=ACTOR, subject=booking.pool,
        message=N_("Nobody came for the booking of %(user)s of %(pool)s from %(start)s UTC: it lapsed"),
        user=booking.user, pool=booking.pool, start=f"{booking.start:%Y-%m-%d %H:%M}",
    )  # fmt: skip
    publish("pool", booking.pool_id, "bookings")
    wake(booking.pool_id)
    return True


def _over(booking: Booking, now: datetime) -> bool:
    """A block that has ended, or a desktop that is no longer there."""
    BOOKING.move(booking, "end", end=max(booking.start, min(booking.end, now)))
    record(
        "booking.ended", actor=ACTOR, subject=booking.pool, message=N_("%(pool)s is no longer blocked")
        if booking.kind == Booking.Kind.BLOCK else N_("The desktop %(name)s that %(user)s had booked is gone"),
        pool=booking.pool, name=booking.desktop_name, user=booking.user or "–",
    )  # fmt: skip
    publish("pool", booking.pool_id, "bookings")
    return True
