"""Who has a desktop of a booked pool without a booking: they get one, so that it ends and counts."""

from datetime import datetime, timedelta

from .booked import intervals, open_rows
from .booking import free_until
from .models import Booking, BookingRules, Desktop
from .states import BookingState


def keep_holders(rules: BookingRules, now: datetime) -> int:
    """Give those of the pool who have none a booking for the longest time, or until others need their desktop; at least
    for the shortest. Within the lock of the pool's row. Returns how many there were."""
    held = Desktop.objects.filter(pool=rules.pool, holder__isnull=False, booking__isnull=True)
    count = 0
    for desktop in held.select_related("vm", "holder"):
        latest = now + timedelta(minutes=rules.longest)
        end = free_until(intervals(open_rows(rules, now)), now, latest, rules.desktops())
        Booking.objects.create(
            pool=rules.pool, user=desktop.holder, kind=Booking.Kind.WALK_IN, state=BookingState.TAKEN, start=now,
            end=max(end, now + rules.length()), desktop=desktop, desktop_name=desktop.vm.name,
            by=str(desktop.holder)[:255],
        )  # fmt: skip
        count += 1
    return count
