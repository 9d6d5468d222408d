"""Putting off the end of a booked time: possible when nobody booked what follows."""

from .booked import intervals, open_all_over, open_rows, rules_for
from .booking import fits
from .models import Booking, Desktop
from .session_facts import booking_of
from .session_rules import Rules


def room_after(desktop: Desktop, rules: Rules) -> bool:
    """Whether the desktop can be kept for another extension, by what is booked now. True without a booking."""
    booking = booking_of(desktop)
    return booking is None or fits_longer(booking, rules)


def fits_longer(booking: Booking, rules: Rules) -> bool:
    """The same for a booking; its pool's row should be locked by who then writes. Two queries."""
    pool, until = booking.pool, booking.end + rules.extension
    booked = rules_for(pool)
    others = open_rows(booked).exclude(pk=booking.pk)
    return fits(intervals(others), booking.end, until, booked.desktops()) and open_all_over(pool, booking.end, until)
