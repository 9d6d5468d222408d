"""Taking a booking back in the caller's transaction, so that its user hears of it."""

from broker.access.actor import Actor
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record

from .models import Booking
from .states import BOOKING


def cancel(actor: Actor, booking: Booking, reason: str) -> None:
    """`reason` is kept with it: its user reads it among their desktops until that time has passed."""
    BOOKING.move(booking, "cancel", reason=reason)
    block = booking.kind == Booking.Kind.BLOCK
    record(
        "booking.unblocked" if block else "booking.cancelled", actor=actor, subject=booking.pool,
        message=N_("%(pool)s is no longer blocked from %(start)s to %(end)s UTC") if block
        else N_("The booking of %(user)s of %(pool)s from %(start)s to %(end)s UTC was cancelled: %(reason)s"),
        user=booking.user or "–", pool=booking.pool, start=f"{booking.start:%Y-%m-%d %H:%M}",
        end=f"{booking.end:%Y-%m-%d %H:%M}", reason=reason or "–",
    )  # fmt: skip
    publish("pool", booking.pool_id, "bookings")
