"""What the cards of booked pools and their desktops say, and what became of bookings that were cancelled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.actor import Actor
from broker.core import clock
from pools.booked import grace_of
from pools.hours import moment
from pools.models import Booking, BookingRules, Pool

from .booking_page import span
from .parts import Action, Connect
from .words import Mark


@dataclass(frozen=True, slots=True)
class Booked:
    """One person's view of the pools that are booked. `rules` by pool; `due`: the booking by which they may have a
    desktop now; `coming`: the next one; `held`: those by which they have one, by desktop."""

    rules: Mapping[UUID, BookingRules] = field(default_factory=dict)
    due: Mapping[UUID, Booking] = field(default_factory=dict)
    coming: Mapping[UUID, Booking] = field(default_factory=dict)
    held: Mapping[UUID, Booking] = field(default_factory=dict)

    def until(self, desktop: Any) -> str:
        """Until when they have the desktop; empty where that is open."""
        booking = self.held.get(desktop.pk) if desktop else None
        rules = self.rules.get(booking.pool_id) if booking else None
        return _("Yours until %(when)s.") % {"when": moment(booking.end, rules.zone)} if booking and rules else ""

    def says(self, pool: Pool) -> tuple[Mark, str]:
        """One word and a sentence for the card of the pool."""
        rules = self.rules.get(pool.pk) or BookingRules(pool=pool)
        if due := self.due.get(pool.pk):
            return Mark(_("Booked for you"), "good"), _("Your time has begun; it ends on %(when)s.") % {
                "when": moment(due.end, rules.zone)
            }
        if coming := self.coming.get(pool.pk):
            return Mark(_("Booked"), "idle"), _("Your booking begins on %(when)s.") % {
                "when": moment(coming.start, rules.zone)
            }
        if rules.walk_in:
            return Mark(_("By booking"), "idle"), _("Book a time; what no booking needs can be had now.")
        return Mark(_("By booking"), "idle"), _("Its desktops are booked for a time.")

    def connect(self, pool: Pool, take: str) -> Connect:
        """Connect by a booking, or where it goes without one; else the way to the calendar."""
        rules = self.rules.get(pool.pk)
        if pool.pk in self.due or (rules and rules.walk_in):
            return Connect(_("Connect"), take, primary=pool.pk in self.due, post=True)
        return Connect(_("Book a time"), calendar_of(pool), icon="calendar-event", primary=False)


def calendar_of(pool: Pool) -> str:
    return reverse("portal:booking-calendar", args=[pool.pk])


def calendar_action(pool: Pool) -> Action:
    return Action(_("Calendar"), calendar_of(pool), "calendar-event", link=True)


def booked_by(actor: Actor, pools: Sequence[Pool]) -> Booked:
    """What the actor has booked of these pools: two queries, none where no pool is booked."""
    ids = {pool.pk for pool in pools if pool.booked}
    if not ids or actor.user_id is None:
        return Booked()
    now = clock.now()
    rules = {row.pool_id: row for row in BookingRules.objects.filter(pool__in=ids)}
    rows = Booking.objects.filter(user=actor.user_id, pool__in=ids, state__in=("booked", "taken"), end__gt=now)
    due: dict[UUID, Booking] = {}
    coming: dict[UUID, Booking] = {}
    held: dict[UUID, Booking] = {}
    for row in rows.order_by("start"):
        if row.desktop_id:
            held[row.desktop_id] = row
        elif row.start > now:
            coming.setdefault(row.pool_id, row)
        elif (kept := rules.get(row.pool_id)) and row.start > now - grace_of(kept):
            due.setdefault(row.pool_id, row)
    return Booked(rules, due, coming, held)


def cancelled(actor: Actor) -> list[str]:
    """What the actor should know: bookings that others cancelled, with the reason, until their time has passed."""
    rows = Booking.objects.filter(user=actor.user_id, state="cancelled", end__gt=clock.now()).exclude(reason="")
    rows = rows.select_related("pool__booking_rules").order_by("start")[:5]
    return [
        _("Your booking of %(pool)s was cancelled (%(when)s): %(reason)s")
        % {"pool": row.pool, "when": span(row, _zone(row.pool)), "reason": _(row.reason)}
        for row in rows
    ]


def _zone(pool: Pool) -> str:
    rules = getattr(pool, "booking_rules", None)
    return rules.zone if rules else pool.zone
