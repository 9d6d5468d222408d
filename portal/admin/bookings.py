"""Bookings in the back office: who has booked which pool when, and cancelling one."""

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from pools.actions.cancel_booking import cancel_booking
from pools.models import Booking

from .deeds import Deed, with_deeds
from .rows import AMBER, BLUE, GREEN, GREY, RED, Rows, link, worded
from .site import site

STATES = {"booked": GREEN, "taken": BLUE, "over": GREY, "lapsed": AMBER, "cancelled": RED}


@admin.register(Booking, site=site)
@with_deeds(
    Deed(
        "cancel",
        _("Cancel it"),
        cancel_booking,
        "booking",
        _("The desktop is then free for others at that time; its user reads it among their desktops."),
        "event_busy",
        destroys=True,
    )
)
class BookingAdmin(Rows):
    list_display = ("who", "pool_link", "kind", "life", "start", "end", "desktop_name", "reason", "by")
    list_filter = (
        ("state", ChoicesDropdownFilter), ("kind", ChoicesDropdownFilter), ("pool", RelatedDropdownFilter),
    )  # fmt: skip
    search_fields = ("user__username", "pool__name", "desktop_name", "reason")
    list_select_related = ("user", "pool")

    @display(description=_("Who"), ordering="user")
    def who(self, booking: Booking) -> Any:
        return link(booking.user) if booking.user else _("all desktops")

    @display(description=_("Pool"), ordering="pool")
    def pool_link(self, booking: Booking) -> Any:
        return link(booking.pool)

    @display(description=_("State"), ordering="state", label=STATES)
    def life(self, booking: Booking) -> tuple[str, str]:
        return worded(booking.state)
