"""What is booked of a pool: its rules, the rows that still count, and where the next free time is."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from broker.core import clock
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_

from .booking import ALL, Interval, next_free
from .calendar import opening, read_windows
from .models import Booking, BookingRules, Pool
from .states import BookingState

PREPARED = timedelta(minutes=15)
"""So long before a booking begins its desktop is made ready."""


def rules_for(pool: Pool) -> BookingRules:
    """The pool's rules, those of a new one when nobody has made any. One query."""
    rules = BookingRules.objects.filter(pool=pool).first() or BookingRules(pool=pool, zone=pool.zone)
    rules.pool = pool
    return rules


def require_booked(pool: Pool) -> BookingRules:
    """The rules of a pool that is booked; raises Conflict for any other."""
    if not pool.booked:
        raise Conflict(
            N_("Desktops of %(pool)s are not booked."), rule="pool.booked", about=pool,
            fix=N_("Connect at any time; or have an administrator switch bookings on."), pool=str(pool),
        )  # fmt: skip
    return rules_for(pool)


def lock_pool(pool: Pool) -> None:
    """Within a transaction: bookings of one pool are decided one after the other, whoever asks."""
    list(Pool.objects.select_for_update(no_key=True).filter(pk=pool.pk).order_by().values_list("pk"))


def open_rows(rules: BookingRules, now: datetime | None = None) -> QuerySet[Booking]:
    """Those that take a desktop now or later. What nobody came for in time counts no more, nor what a disabled person
    has booked, even before the duty has written so."""
    now = now or clock.now()
    came = Q(state=BookingState.TAKEN)
    due = Q(state=BookingState.BOOKED) & (Q(kind=Booking.Kind.BLOCK) | Q(start__gt=now - grace_of(rules)))
    rows = Booking.objects.filter(came | due, pool=rules.pool_id, end__gt=now)
    return rows.filter(Q(user__isnull=True) | Q(user__is_active=True)).order_by("start", "pk")


def grace_of(rules: BookingRules) -> timedelta:
    return timedelta(minutes=rules.grace)


def intervals(rows: Iterable[Booking]) -> list[Interval]:
    return [Interval(row.start, row.end, ALL if row.kind == Booking.Kind.BLOCK else 1) for row in rows]


def open_all_over(pool: Pool, start: datetime, end: datetime) -> bool:
    """Whether the pool's opening hours cover that time."""
    state = opening(read_windows(pool.hours), start)
    return state.open and (state.changes is None or state.changes >= end)


def next_free_time(
    rules: BookingRules, rows: Sequence[Booking], after: datetime, length: timedelta | None = None
) -> datetime | None:
    """The first time that can be booked, by the pool's hours too; None when there is none within its days ahead."""
    taken, length = intervals(rows), length or rules.length()
    until = after + timedelta(days=rules.ahead)
    windows = read_windows(rules.pool.hours)
    while (found := next_free(taken, after, until, length, rules.desktops())) is not None:
        if open_all_over(rules.pool, found, found + length):
            return found
        state = opening(windows, found)
        if state.changes is None or state.changes <= found:
            return None
        after = state.changes
    return None


def due_soon(pool: Pool, now: datetime) -> int:
    """How many desktops bookings want that begin soon or have begun, and nobody has come for yet. Two queries."""
    rows = open_rows(rules_for(pool), now).exclude(kind=Booking.Kind.BLOCK)
    return rows.filter(state=BookingState.BOOKED, start__lte=now + PREPARED).count()
