"""Forms about bookings: a time that is booked or blocked, why one is cancelled, and the rules of a pool."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.utils.translation import gettext_lazy as _

from broker.core.errors import BerthError, Invalid
from pools.actions.set_booking_rules import NUMBERS
from pools.booking_checks import local
from pools.models import Booking, BookingRules
from pools.models.pool import LARGEST
from pools.session_sentence import duration

from .forms import StyledForm

STEP = 15
"""Lengths are offered in steps of so many minutes, at least."""
MOST_LENGTHS = 40


class TimeForm(StyledForm):
    """A day, a time of day and a length, by the clocks of the pool."""

    day = forms.DateField(label=_("Day"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    time = forms.TimeField(label=_("From"), widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"))
    minutes = forms.TypedChoiceField(label=_("For how long"), coerce=int)

    def __init__(self, *args: Any, rules: BookingRules, shown: Booking | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.rules = rules
        given = round((shown.end - shown.start).total_seconds() / 60) if shown else None
        choice = self.fields["minutes"]
        assert isinstance(choice, forms.ChoiceField)
        choice.choices = [(one, duration(timedelta(minutes=one))) for one in lengths(rules, given)]

    def moments(self) -> dict[str, datetime]:
        """For an action; raises Invalid for a time that clocks skip."""
        values = self.cleaned_data
        start = local(values["day"], values["time"], self.rules.zone)
        return {"start": start, "end": start + timedelta(minutes=values["minutes"])}

    def refuse(self, error: BerthError) -> None:
        """What is wrong with the beginning or the end is shown at its field."""
        if isinstance(error, Invalid):
            error.field = {"start": "time", "end": "minutes"}.get(error.field, error.field)
        super().refuse(error)


def initial(rules: BookingRules, start: datetime, end: datetime | None = None) -> dict[str, Any]:
    """What a TimeForm shows for a moment; the shortest time without an end."""
    shown = start.astimezone(ZoneInfo(rules.zone))
    minutes = rules.shortest if end is None else round((end - start).total_seconds() / 60)
    return {"day": shown.date(), "time": shown.time(), "minutes": minutes}


def lengths(rules: BookingRules, more: int | None = None) -> list[int]:
    """Lengths to choose from, in minutes: from the shortest to the longest, not too many; and `more`."""
    step = max(STEP, -(-(rules.longest - rules.shortest) // MOST_LENGTHS // STEP) * STEP)
    found = {*range(rules.shortest, rules.longest + 1, step), rules.longest}
    return sorted(found | ({more} if more else set()))


class BookForm(TimeForm):
    """`user` is for who manages the pool; `booking` is the one that is moved."""

    user = forms.CharField(
        label=_("For"), max_length=255, required=False, help_text=_("A user's name; empty: for yourself.")
    )
    booking = forms.CharField(max_length=36, required=False, widget=forms.HiddenInput)


class BlockForm(StyledForm):
    """A time at which nobody gets a desktop."""

    day = forms.DateField(label=_("Day"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    time = forms.TimeField(label=_("From"), widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"))
    last_day = forms.DateField(label=_("Last day"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    until = forms.TimeField(label=_("To"), widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"))
    reason = forms.CharField(
        label=_("Reason"), max_length=200, required=False, help_text=_("Whoever has booked that time reads it.")
    )
    cancel_others = forms.BooleanField(
        label=_("Cancel the bookings in that time"), required=False,
        help_text=_("Without it, blocking is refused while there are any."),
    )  # fmt: skip

    def refuse(self, error: BerthError) -> None:
        """What is wrong with the beginning or the end is shown at its field."""
        if isinstance(error, Invalid):
            error.field = {"start": "time", "end": "until"}.get(error.field, error.field)
        super().refuse(error)


class ReasonForm(StyledForm):
    reason = forms.CharField(
        label=_("Reason"), max_length=200, required=False, help_text=_("Its user reads it among their desktops.")
    )


def _number(name: str, label: Any, help_text: Any = "") -> forms.IntegerField:
    least, most = NUMBERS[name]
    return forms.IntegerField(label=label, min_value=least, max_value=most, help_text=help_text)


class BookingRulesForm(StyledForm):
    """Fields are named as the action's."""

    booked = forms.BooleanField(
        label=_("Desktops here are booked"), required=False,
        help_text=_("People have them for a time that they booked, and not longer."),
    )  # fmt: skip
    shortest = _number("shortest", _("Shortest time in minutes"))
    longest = _number("longest", _("Longest time in minutes"))
    ahead = _number("ahead", _("How many days ahead"))
    per_person = _number("per_person", _("Most open bookings of one person"))
    grace = _number("grace", _("Kept for minutes"), _("Who has not come by then loses the booking."))
    cancel_until = _number(
        "cancel_until", _("Moved or cancelled until minutes before"), _("Later only by who manages the pool.")
    )
    capacity = forms.IntegerField(
        label=_("At once"), required=False, min_value=1, max_value=LARGEST,
        help_text=_("How many can be booked at the same time. Empty: all."),
    )  # fmt: skip
    walk_in = forms.BooleanField(
        label=_("Without a booking, too"), required=False,
        help_text=_("What no booking needs may be taken until one does; who takes it is told when that is."),
    )  # fmt: skip
    zone = forms.CharField(label=_("Time zone"), max_length=64, help_text=_("Whose hours the calendar shows."))
