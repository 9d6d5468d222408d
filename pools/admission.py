"""Who may have a desktop of a pool now: in pools that are booked, who has a booking or needs no more than is left."""

from datetime import datetime, timedelta
from typing import Any

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import Conflict, Reason
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.events.news import publish
from broker.events.record import record

from .booked import intervals, lock_pool, next_free_time, open_rows, rules_for
from .booking import free_in, free_until
from .calendar import opening, read_windows
from .hours import moment
from .models import Booking, BookingRules, Desktop, Pool
from .states import BOOKING, BookingState

RULE = "pool.booking"


def admit(user: User, pool: Pool, *, lock: bool = True) -> Booking | None:
    """The booking by which `user` may have a desktop of `pool` now; None where desktops are not booked.

    Without a booking it is a new one that is not saved, until what others booked is needed. Raises Conflict with what
    was looked at and the next free time. `lock` (within a transaction): what is free stays so until it is entered.
    """
    if not pool.booked:
        return None
    if lock:
        lock_pool(pool)
    rules, now = rules_for(pool), clock.now()
    rows = list(open_rows(rules, now))
    booked = [row for row in rows if row.user_id == user.pk and row.state == BookingState.BOOKED]
    due = [row for row in booked if row.start <= now]
    if due:
        return due[0]
    if rules.walk_in:
        end = _leaves(rules, rows, now)
        if end - now >= rules.length():
            return Booking(
                pool=pool, user=user, kind=Booking.Kind.WALK_IN, state=BookingState.TAKEN, start=now, end=end,
                by=user.username,
            )  # fmt: skip
    raise _refusal(rules, rows, booked, now)


def admissible(user: User | None, pool: Pool) -> bool:
    """Whether `admit` would not refuse; asked without a lock."""
    if user is None:
        return False
    try:
        admit(user, pool, lock=False)
    except Conflict:
        return False
    return True


def _leaves(rules: BookingRules, rows: list[Booking], now: datetime) -> datetime:
    """When who comes without a booking would have to leave."""
    latest = now + timedelta(minutes=rules.longest)
    state = opening(read_windows(rules.pool.hours), now)
    if state.changes is not None:
        latest = min(latest, state.changes)
    return free_until(intervals(rows), now, latest, rules.desktops())


def _refusal(rules: BookingRules, rows: list[Booking], booked: list[Booking], now: datetime) -> Conflict:
    pool = rules.pool
    free = next_free_time(rules, rows, now)
    params: dict[str, Any] = {"pool": str(pool)}
    reasons = [_looked_at(rules, rows, now)]
    if booked:
        message = N_("Your booking of %(pool)s begins on %(when)s.")
        params["when"] = moment(booked[0].start, rules.zone)
        fix = N_("Come back then, or move it.")
    elif free is None:
        message, fix = N_("You have no booking of %(pool)s now."), N_("Nothing is free to be booked; look again later.")
    else:
        message = N_("You have no booking of %(pool)s now; the next free time begins on %(when)s.")
        params["when"] = moment(free, rules.zone)
        fix = N_("Book it in the calendar of the pool.")
    if rules.walk_in:
        words = N_("what is free is needed by bookings")
        reasons.append(
            Reason(
                str(pool), "booking.walk-in", N_("without a booking it takes %(minutes)s minutes until the next one"),
                kind="pool", id=pool.pk, words=words, minutes=rules.shortest,
            )
        )  # fmt: skip
    return Conflict(message, rule=RULE, fix=fix, reasons=tuple(reasons), **params)


def _looked_at(rules: BookingRules, rows: list[Booking], now: datetime) -> Reason:
    pool, capacity = rules.pool, rules.desktops()
    kind: dict[str, Any] = {"kind": "pool", "id": pool.pk}
    block = next((row for row in rows if row.kind == Booking.Kind.BLOCK and row.start <= now), None)
    if block is not None:
        text = N_("blocked until %(when)s")
        return Reason(
            str(pool), "booking.block", text, words=N_("blocked now"), when=moment(block.end, rules.zone), **kind
        )
    taken = capacity - free_in(intervals(rows), now, now + timedelta(seconds=1), capacity)
    text = N_("%(taken)s of %(capacity)s desktops are booked at this moment")
    return Reason(str(pool), RULE, text, words=N_("booked"), taken=taken, capacity=capacity, **kind)


def enter(booking: Booking | None, desktop: Desktop, pool: Pool) -> None:
    """Its user has the desktop now, within the transaction of `admit`."""
    if booking is None:
        return
    name = desktop.vm.name
    if booking._state.adding:
        booking.desktop, booking.desktop_name = desktop, name
        booking.save(force_insert=True)
    else:
        BOOKING.move(booking, "come", desktop=desktop, desktop_name=name)
    record(
        "booking.begun", actor=Actor.system("pools"), subject=pool,
        message=N_("%(user)s has %(name)s of %(pool)s until %(end)s UTC"),
        user=booking.user, name=name, pool=pool, end=f"{booking.end:%Y-%m-%d %H:%M}",
    )  # fmt: skip
    publish("pool", pool.pk, "bookings")


def leave(desktop: Desktop, pool: Pool, now: datetime) -> None:
    """The desktop goes back: what is left of its booking is free for others."""
    if not pool.booked:
        return
    booking = Booking.objects.filter(desktop=desktop).select_related("user").first()
    if booking is None:
        return
    end = max(booking.start, min(booking.end, now))
    BOOKING.attempt(Booking.objects.filter(pk=booking.pk), "end", end=end, desktop=None)
    record(
        "booking.over", actor=Actor.system("pools"), subject=pool,
        message=N_("The booking of %(user)s of %(pool)s is over: %(name)s went back"),
        user=booking.user, pool=pool, name=booking.desktop_name,
    )  # fmt: skip
    publish("pool", pool.pk, "bookings")
