"""Booking desktops: the calendar of a pool with its form, cancelling, and what who manages the pool sees and does."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from broker.access.require import find, may, require, visible_to
from broker.core import clock
from broker.core.errors import BerthError, Invalid
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from pools.actions.block_time import block_time
from pools.actions.book import book
from pools.actions.cancel_booking import cancel_booking
from pools.actions.move_booking import move_booking
from pools.actions.set_booking_rules import set_booking_rules
from pools.booked import open_rows, require_booked, rules_for
from pools.booking_calendar import DAYS, day_of, free_times
from pools.booking_checks import local
from pools.models import Booking, BookingRules, Pool
from pools.queries import bookings, find_booking
from portal.web.base import Deed, Page, SignedIn, done, refuse
from portal.web.booking_forms import BlockForm, BookForm, BookingRulesForm, ReasonForm, initial
from portal.web.booking_page import STATES, days, lines, next_sentence, row, sentence, span
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm
from portal.web.listing import Column, Filter, Listing
from portal.web.parts import Cell, Row


class Calendar(SignedIn):
    """?day= the first day of the week, ?at= a time to begin with, ?move= one's booking. A POST books, or moves."""

    def get(self, request: HttpRequest, pk: Any) -> HttpResponse:
        pool, rules = self._find(pk)
        return self._show(pool, rules, self._form(rules, None))

    def post(self, request: HttpRequest, pk: Any) -> HttpResponse:
        pool, rules = self._find(pk)
        form = self._form(rules, request.POST)
        if form.is_valid():
            try:
                booking, text = self._do(pool, form)
            except BerthError as error:
                refuse(request, form, error)
            else:
                messages.success(request, text % {"when": span(booking, rules.zone)})
                return HttpResponseRedirect(reverse("portal:booking-calendar", args=[pool.pk]))
        return self._show(pool, rules, form, status=400)

    def _find(self, pk: Any) -> tuple[Pool, BookingRules]:
        pool = find(self.actor, Pool, pk, "pool.use")
        return pool, rules_for(pool)

    def _do(self, pool: Pool, form: BookForm) -> tuple[Booking, str]:
        moments, moved = form.moments(), form.cleaned_data.get("booking")
        if moved:
            found = find_booking(self.actor, moved)
            return move_booking(actor=self.actor, booking=found, **moments), _("Moved: %(when)s.")
        user = self._user(form.cleaned_data.get("user", ""))
        return book(actor=self.actor, pool=pool, user=user, **moments), _("Booked: %(when)s.")

    def _user(self, name: str) -> User | None:
        name = name.replace("\0", "").strip()
        if not name:
            return None
        user = visible_to(self.actor, User).filter(username__iexact=name).first()
        if user is None:
            raise Invalid(N_("There is no such user."), field="user", fix=N_("Write the name used to sign in."))
        return user

    def _form(self, rules: BookingRules, data: Any) -> BookForm:
        moved = self._moved((data or self.request.GET).get("booking" if data else "move", ""))
        form = BookForm(data, rules=rules, shown=moved, initial=self._initial(rules, moved))
        if moved or not may(self.actor, "pool.manage", rules.pool):
            del form.fields["user"]
        return form

    def _moved(self, pk: str) -> Booking | None:
        """The booking that is to be moved; None for a new one."""
        try:
            return find_booking(self.actor, UUID(pk)) if pk else None
        except ValueError:
            return None

    def _initial(self, rules: BookingRules, moved: Booking | None) -> dict[str, Any]:
        if moved:
            return {**initial(rules, moved.start, moved.end), "booking": moved.pk}
        try:
            at = datetime.strptime(self.request.GET.get("at", ""), "%Y-%m-%dT%H:%M")
            start = max(local(at.date(), at.time(), rules.zone), clock.now())
        except (ValueError, Invalid):
            return {"minutes": rules.shortest}
        return initial(rules, start)

    def _show(self, pool: Pool, rules: BookingRules, form: BookForm, status: int = 200) -> HttpResponse:
        today = day_of("", rules)
        assert today is not None
        first = day_of(self.request.GET.get("day", ""), rules) or today
        user = self.actor.user_id
        week = free_times(rules, first, user=user)
        if not form.is_bound and not form.initial.get("day") and week.next_free:
            form.initial = {**form.initial, **initial(rules, week.next_free)}
        now, manages = clock.now(), may(self.actor, "pool.manage", pool)
        mine = bookings(self.actor, pool).filter(user=user, end__gt=now).exclude(state="over").select_related("user")
        until = timedelta(minutes=rules.cancel_until)
        address = reverse("portal:booking-calendar", args=[pool.pk])
        context = {
            "pool": pool, "rules": sentence(rules), "zone": rules.zone, "form": form,
            "moving": bool(form.initial.get("booking")), "days": days(week),
            "week": f"{date_format(week.days[0], 'j F')} – {date_format(week.days[-1], 'j F')}",
            "lines": lines(week, rules, address, first), "free_next": next_sentence(week, rules),
            "before": _week(address, first, today, -DAYS), "after": _week(address, first, today, DAYS),
            "today": address if first != today else "",
            "mine": [row(one, rules.zone, now=now, until=until, manages=False) for one in mine.order_by("start")[:50]],
            "manage_url": reverse("portal:pool-bookings", args=[pool.pk]) if manages else "",
        }  # fmt: skip
        response = render(self.request, "portal/bookings.html", context, status=status)
        response["Vary"], response["Cache-Control"] = "HX-Request, Cookie", "no-store"
        return response


def _week(address: str, first: Any, today: Any, days_on: int) -> str:
    """The address of another week; empty for one that is wholly past."""
    day = first + timedelta(days=days_on)
    return f"{address}?day={day.isoformat()}" if day > today - timedelta(days=DAYS) else ""


class Cancel(Deed):
    """One's own."""

    def do(self, pk: Any) -> HttpResponse:
        cancel_booking(actor=self.actor, booking=find_booking(self.actor, pk))
        return done(self.request, _("The booking was cancelled."))


class PoolBookings(Page):
    """All that is and was booked of a pool, for who manages it."""

    template = "portal/manage/table.html"

    def content(self, pk: Any) -> dict[str, Any]:
        pool = find(self.actor, Pool, pk)
        manages = may(self.actor, "pool.manage", pool)
        if not manages:
            require(self.actor, "system.view")
        rules, now = rules_for(pool), clock.now()
        columns = (
            Column(_("Time"), "start"), Column(_("Who"), "user__username"), Column(_("State"), "state"),
            Column(_("Desktop"), "desktop_name"), Column(_("Booked by"), "by"), Column(""),
        )  # fmt: skip
        listing = Listing(
            self.request, bookings(self.actor, pool).select_related("user"), columns=columns,
            search=("user__username", "desktop_name", "reason"), order="-start",
            filters=(
                Filter("state", _("State"), "state", [(key, mark.word) for key, mark in STATES.items()]),
                Filter("kind", _("Kind"), "kind", Booking.Kind.choices),
            ),
        )  # fmt: skip
        until = timedelta(minutes=rules.cancel_until)
        found = [row(one, rules.zone, now=now, until=until, manages=manages) for one in listing.page]
        return {
            "title": _("Bookings of %(pool)s") % {"pool": pool},
            "under": _("Times are those of %(zone)s.") % {"zone": rules.zone},
            "empty": _("Nobody has booked a desktop of it yet."),
            "second_url": reverse("portal:pool", args=[pool.pk]), "second_label": str(pool),
            "new_url": reverse("portal:pool-block", args=[pool.pk]) if manages and pool.booked else "",
            "new_label": _("Block a time"), "live_kinds": f"pool:{pool.pk}", "listing": listing, "acting": True,
            "rows": [
                Row(
                    [
                        Cell(one["span"]), Cell(one["user"], under=one["reason"]),
                        Cell(mark=one["mark"], under=one["kind"]), Cell(one["desktop"] or "–"), Cell(one["by"] or "–"),
                    ],
                    one["actions"] if manages else (),
                )
                for one in found
            ],
        }  # fmt: skip


class Block(FormPage):
    def form(self, data: Any, pk: Any) -> StyledForm:  # type: ignore[override]
        require_booked(find(self.actor, Pool, pk, "pool.manage"))
        return BlockForm(data)

    def make(self, values: dict[str, Any], pk: Any) -> str:  # type: ignore[override]
        pool = find(self.actor, Pool, pk, "pool.manage")
        zone = rules_for(pool).zone
        start, end = local(values["day"], values["time"], zone), local(values["last_day"], values["until"], zone)
        block_time(
            actor=self.actor, pool=pool, start=start, end=end, reason=values["reason"],
            cancel_others=values["cancel_others"],
        )  # fmt: skip
        return reverse("portal:pool-bookings", args=[pool.pk])

    def words(self, pk: Any) -> dict[str, Any]:  # type: ignore[override]
        pool = find(self.actor, Pool, pk, "pool.manage")
        return {
            "title": _("Block a time of %(pool)s") % {"pool": pool},
            "under": _("Nobody gets a desktop then; who has one leaves when it begins. Times are those of %(zone)s.")
            % {"zone": rules_for(pool).zone},
            "submit": _("Block it"),
            "back_url": reverse("portal:pool-bookings", args=[pool.pk]),
            "back_label": _("Bookings"),
        }


class CancelOf(FormPage):
    """Somebody's booking, or a block, with a reason."""

    def form(self, data: Any, pk: Any) -> StyledForm:  # type: ignore[override]
        find(self.actor, Pool, find_booking(self.actor, pk).pool_id, "pool.manage")
        return ReasonForm(data)

    def make(self, values: dict[str, Any], pk: Any) -> str:  # type: ignore[override]
        booking = find_booking(self.actor, pk)
        cancel_booking(actor=self.actor, booking=booking, reason=values["reason"])
        return reverse("portal:pool-bookings", args=[booking.pool_id])

    def words(self, pk: Any) -> dict[str, Any]:  # type: ignore[override]
        booking = find_booking(self.actor, pk)
        when = span(booking, rules_for(booking.pool).zone)
        block = booking.user is None
        return {
            "title": _("End the block") if block else _("Cancel the booking of %(user)s") % {"user": booking.user},
            "under": f"{booking.pool} · {when}",
            "submit": _("End the block") if block else _("Cancel it"),
            "back_url": reverse("portal:pool-bookings", args=[booking.pool_id]),
            "back_label": _("Bookings"),
        }


class EditRules(FormPage):
    def form(self, data: Any, pk: Any) -> StyledForm:  # type: ignore[override]
        pool = find(self.actor, Pool, pk, "pool.manage")
        rules = rules_for(pool)
        names = [name for name in BookingRulesForm.base_fields if name != "booked"]
        return BookingRulesForm(data, initial={"booked": pool.booked, **{name: getattr(rules, name) for name in names}})

    def make(self, values: dict[str, Any], pk: Any) -> str:  # type: ignore[override]
        pool = find(self.actor, Pool, pk, "pool.manage")
        set_booking_rules(actor=self.actor, pool=pool, **values)
        return reverse("portal:pool", args=[pool.pk])

    def words(self, pk: Any) -> dict[str, Any]:  # type: ignore[override]
        rules = rules_for(find(self.actor, Pool, pk, "pool.manage"))
        coming = open_rows(rules).count() if rules.pool.booked else 0
        return {
            "title": _("Bookings of %(pool)s") % {"pool": rules.pool},
            "under": _("Now: %(sentence)s Open: %(count)d.") % {"sentence": sentence(rules), "count": coming},
            "submit": _("Save"),
            "back_url": reverse("portal:pool", args=[rules.pool_id]),
            "back_label": str(rules.pool),
        }
