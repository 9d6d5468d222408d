"""Keep all desktops of a pool free for a time: for maintenance, or for an event."""

from datetime import datetime

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core import clock
from broker.core.errors import Conflict, Reason
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names
from pools.booked import lock_pool, open_rows, require_booked
from pools.booking_checks import checked_times
from pools.cancelling import cancel
from pools.hours import moment
from pools.models import Booking, Pool
from pools.states import BookingState


@transaction.atomic
def block_time(
    *, actor: Actor, pool: Pool, start: datetime, end: datetime, reason: str = "", cancel_others: bool = False
) -> Booking:
    """From `start` to `end` nobody gets a desktop of `pool`. Returns the block; it is ended by cancelling it.

    Refused while bookings are in that time; with `cancel_others` those are cancelled with `reason`, and who has a
    desktop until then must leave when it begins. Raises Missing, Denied, Invalid or Conflict.
    """
    require(actor, "pool.manage", pool)
    said = names.title(reason, field="reason", longest=200)
    lock_pool(pool)
    pool.refresh_from_db(fields=["booked", "size", "state", "hours"])
    rules, now = require_booked(pool), clock.now()
    start, end = checked_times(start, end, now)
    near = [row for row in open_rows(rules, now).select_related("user", "pool") if row.start < end and start < row.end]
    near = [row for row in near if row.kind != Booking.Kind.BLOCK]
    if near and not cancel_others:
        raise Conflict(
            N_("%(count)s bookings of %(pool)s are in that time."),
            rule="booking.free",
            fix=N_("Take another time, or have them cancelled with the reason you give."),
            reasons=tuple(
                Reason(
                    str(pool), "booking.free", N_("%(user)s from %(start)s to %(end)s"), kind="pool", id=pool.pk,
                    words=N_("booked"), user=str(row.user), start=moment(row.start, rules.zone),
                    end=moment(row.end, rules.zone),
                )
                for row in near
            ),
            count=len(near),
            pool=str(pool),
        )  # fmt: skip
    for row in near:
        if row.state == BookingState.BOOKED:
            cancel(actor, row, said)
        else:
            Booking.objects.filter(pk=row.pk).update(end=max(row.start, start))
    block = Booking.objects.create(
        pool=pool, kind=Booking.Kind.BLOCK, start=start, end=end, reason=said, by=actor.name[:255]
    )
    record(
        "booking.blocked", actor=actor, subject=pool,
        message=N_("%(pool)s is blocked from %(start)s to %(end)s UTC: %(reason)s"),
        pool=pool, start=f"{start:%Y-%m-%d %H:%M}", end=f"{end:%Y-%m-%d %H:%M}", reason=said or "–",
    )  # fmt: skip
    publish("pool", pool.pk, "bookings")
    return block
