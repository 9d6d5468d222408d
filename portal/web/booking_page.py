"""The calendar of a pool in words: cells of a week, one's own bookings, and the rules as a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.urls import reverse
from django.utils.formats import date_format, time_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from pools.booking_calendar import Hour, Week
from pools.hours import moment
from pools.models import Booking, BookingRules
from pools.session_sentence import duration

from .parts import Action
from .words import Mark

STATES = {
    "booked": Mark(gettext_lazy("Booked"), "good"),
    "taken": Mark(gettext_lazy("Begun"), "busy"),
    "over": Mark(gettext_lazy("Over"), "idle"),
    "lapsed": Mark(gettext_lazy("Lapsed"), "warn"),
    "cancelled": Mark(gettext_lazy("Cancelled"), "bad"),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """`text` is short, `label` says all of it. `url`: where it is booked, when something is free."""

    text: str
    label: str
    url: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    hour: str
    cells: Sequence[Cell]


def lines(week: Week, rules: BookingRules, address: str, first: date) -> list[Line]:
    """The hours of the week; those at which the pool is never open are left out."""
    found = []
    for hour in range(24):
        row = [day[hour] for day in week.hours]
        if all(one.closed or one.past or one.start == one.end for one in row) and any(one.closed for one in row):
            continue
        cells = [_cell(one, week, rules, address, first) for one in row]
        found.append(Line(f"{hour:02}:00", cells))
    return found


def _cell(hour: Hour, week: Week, rules: BookingRules, address: str, first: date) -> Cell:
    if hour.start == hour.end:
        return Cell("", _("Clocks skip this hour."), tone="closed")
    shown = hour.start.astimezone(ZoneInfo(rules.zone))
    when = date_format(shown, "l j F, H:i")
    mine = "mine" if hour.mine else ""
    if hour.past:
        return Cell("·", _("%(when)s: past") % {"when": when}, tone=f"past {mine}")
    if hour.blocked:
        return Cell("✕", _("%(when)s: blocked") % {"when": when}, tone="closed")
    if hour.closed:
        return Cell("–", _("%(when)s: closed") % {"when": when}, tone="closed")
    label = _("%(when)s: %(free)d of %(all)d free") % {"when": when, "free": hour.free, "all": week.capacity}
    if hour.mine:
        label = _("%(label)s, booked by you") % {"label": label}
    if not hour.free:
        return Cell("0", label, tone=f"full {mine}")
    query = urlencode({"day": first.isoformat(), "at": shown.strftime("%Y-%m-%dT%H:%M")})
    return Cell(str(hour.free), label, url=f"{address}?{query}#book", tone=f"free {mine}")


def days(week: Week) -> list[dict[str, str]]:
    return [{"short": date_format(day, "D"), "number": date_format(day, "j"), "long": date_format(day, "l j F")}
            for day in week.days]  # fmt: skip


def span(booking: Booking, zone: str) -> str:
    """From when to when, as clocks in `zone` show it."""
    start, end = (one.astimezone(ZoneInfo(zone)) for one in (booking.start, booking.end))
    if start.date() == end.date():
        return f"{date_format(start, 'l j F, H:i')} – {time_format(end, 'H:i')}"
    return f"{date_format(start, 'l j F, H:i')} – {date_format(end, 'l j F, H:i')}"


def row(booking: Booking, zone: str, *, now: datetime, until: timedelta, manages: bool) -> dict[str, Any]:
    """A booking as a list shows it. `until`: how long before its beginning its user may still change it."""
    open_ = booking.state == "booked" and booking.end > now
    actions = []
    if open_ and (manages or now <= booking.start - until):
        if booking.kind == Booking.Kind.BOOKED:
            address = reverse("portal:booking-calendar", args=[booking.pool_id])
            actions.append(Action(_("Move"), f"{address}?move={booking.pk}#book", "edit", link=True))
        if manages:
            label = _("End the block") if booking.kind == Booking.Kind.BLOCK else _("Cancel it")
            actions.append(Action(label, reverse("portal:booking-cancel-of", args=[booking.pk]), "x", link=True))
        else:
            text = _("The desktop is then free for others at that time.")
            actions.append(
                Action(_("Cancel it"), reverse("portal:booking-cancel", args=[booking.pk]), "x", confirm=text)
            )
    mark = STATES[booking.state]
    if booking.kind == Booking.Kind.BLOCK and booking.state == "booked":
        mark = Mark(_("Blocked"), "warn")
    return {
        "id": booking.pk,
        "span": span(booking, zone),
        "mark": mark,
        "user": str(booking.user) if booking.user else _("all desktops"),
        "kind": booking.get_kind_display(),
        "desktop": booking.desktop_name,
        "reason": _(booking.reason) if booking.reason else "",
        "by": booking.by,
        "actions": actions,
    }


def sentence(rules: BookingRules) -> str:
    """The rules as their users read them."""
    if not rules.pool.booked:
        return _("Desktops of this pool are not booked: who connects gets one.")
    parts = [
        _("%(shortest)s to %(longest)s at a time") % {
            "shortest": duration(timedelta(minutes=rules.shortest)),
            "longest": duration(timedelta(minutes=rules.longest)),
        },
        ngettext("%(count)d day ahead", "%(count)d days ahead", rules.ahead) % {"count": rules.ahead},
        ngettext("%(count)d open booking each", "%(count)d open bookings each", rules.per_person)
        % {"count": rules.per_person},
        _("who has not come after %(time)s loses it") % {"time": duration(timedelta(minutes=rules.grace))},
    ]  # fmt: skip
    if rules.cancel_until:
        time = duration(timedelta(minutes=rules.cancel_until))
        parts.append(_("changed until %(time)s before") % {"time": time})
    if rules.walk_in:
        parts.append(_("what no booking needs can be had without one"))
    return capfirst("; ".join(parts)) + "."


def next_sentence(week: Week, rules: BookingRules) -> str:
    if week.next_free is None:
        return _("Nothing is free within the days that can be booked.")
    return _("Free next: %(when)s.") % {"when": moment(week.next_free, rules.zone)}
