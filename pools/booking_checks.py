"""What may be booked: times within the pool's bounds, room at every instant, and not too many for one person."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from broker.core.errors import Conflict, Invalid, OverQuota, Reason
from broker.core.text import gettext_noop as N_
from broker.directories.models import User

from .booked import intervals, next_free_time, open_all_over
from .booking import fits, peak
from .hours import moment
from .models import Booking, BookingRules
from .states import POOL, BookingState

LATE = timedelta(minutes=1)
"""Who books for now is some seconds late when the form comes."""
LATEST = datetime(9000, 1, 1, tzinfo=UTC)


def local(day: Any, time: Any, zone: str) -> datetime:
    """The moment at which clocks of `zone` show this; of an hour that comes twice, its first coming. Raises Invalid
    for a time that clocks skip."""
    naive = datetime.combine(day, time)
    try:
        at = naive.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        same = at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == naive
    except OverflowError as error:
        raise _far("start") from error
    if not same:
        raise Invalid(
            N_("There is no such time on that day: clocks go forward."), field="start", fix=N_("Take an hour later.")
        )
    return at


def checked_times(start: Any, end: Any, now: datetime) -> tuple[datetime, datetime]:
    """Both as they may be kept: whole minutes in UTC, the end after the start, not in the past. Raises Invalid."""
    start, end = _minute(start, "start"), _minute(end, "end")
    if end <= start:
        raise Invalid(N_("It ends before it begins."), field="end", fix=N_("Give it an end after its beginning."))
    if end <= now or start < now - LATE:
        raise Invalid(N_("That time has passed."), field="start", fix=N_("Take a time that is still to come."))
    return start, end


def check_bounds(rules: BookingRules, start: datetime, end: datetime, now: datetime) -> None:
    """Raise Invalid for a length or a day that the pool does not have booked, Conflict outside of its hours."""
    minutes = (end - start).total_seconds() / 60
    if not rules.shortest <= minutes <= rules.longest:
        raise Invalid(
            N_("Desktops of %(pool)s are booked for %(shortest)s to %(longest)s minutes."), field="end",
            fix=N_("Give it a length between."), pool=str(rules.pool), shortest=rules.shortest, longest=rules.longest,
        )  # fmt: skip
    if start > now + timedelta(days=rules.ahead):
        raise Invalid(
            N_("That is too far ahead: desktops of %(pool)s are booked for the next %(days)s days."), field="start",
            fix=N_("Take an earlier time."), pool=str(rules.pool), days=rules.ahead,
        )  # fmt: skip
    if not POOL.is_(rules.pool.state, "open"):
        raise Conflict(
            N_("The pool %(pool)s is being deleted."), rule="pool.open", about=rules.pool,
            fix=N_("Ask your administrator for another one."), pool=str(rules.pool),
        )  # fmt: skip
    if not open_all_over(rules.pool, start, end):
        raise Conflict(
            N_("%(pool)s is closed for some of that time."), rule="pool.hours", about=rules.pool,
            fix=N_("Take a time within its opening hours."), pool=str(rules.pool),
        )  # fmt: skip


def check_room(rules: BookingRules, rows: Sequence[Booking], start: datetime, end: datetime, now: datetime) -> None:
    """Raise Conflict, with what is in the way and the next free time, when no desktop is free for all of that time."""
    if fits(intervals(rows), start, end, rules.desktops()):
        return
    free = next_free_time(rules, rows, max(start, now), end - start)
    params: dict[str, Any] = {"pool": str(rules.pool)}
    fix = N_("Take another time or a shorter one.")
    message = N_("All desktops of %(pool)s are booked at that time.")
    if free is not None:
        message = N_("All desktops of %(pool)s are booked at that time; as long is free from %(when)s.")
        params["when"] = moment(free, rules.zone)
    raise Conflict(message, rule="booking.free", fix=fix, reasons=_in_the_way(rules, rows, start, end), **params)


def _in_the_way(rules: BookingRules, rows: Sequence[Booking], start: datetime, end: datetime) -> tuple[Reason, ...]:
    """Without names: whose they are is nobody's business here."""
    near = [row for row in rows if row.start < end and start < row.end]
    return tuple(
        Reason(
            str(rules.pool), "booking.block" if row.kind == Booking.Kind.BLOCK else "booking.free",
            N_("blocked from %(start)s to %(end)s") if row.kind == Booking.Kind.BLOCK
            else N_("booked from %(start)s to %(end)s"),
            kind="pool", id=rules.pool_id, words=N_("booked"), start=moment(row.start, rules.zone),
            end=moment(row.end, rules.zone),
        )
        for row in near
    )  # fmt: skip


def check_person(
    rules: BookingRules, rows: Sequence[Booking], user: User, start: datetime, end: datetime, *, free: bool
) -> None:
    """Raise OverQuota when `user` has as many open ones, or at once, as the pool allows. `free`: of the first bound."""
    mine = [row for row in rows if row.user_id == user.pk]
    waiting = [row for row in mine if row.state == BookingState.BOOKED]
    if not free and len(waiting) >= rules.per_person:
        raise OverQuota(
            N_("Nobody may have more than %(most)s open bookings of %(pool)s."), rule="booking.per-person",
            fix=N_("Cancel one, or wait until one is over."), most=rules.per_person, pool=str(rules.pool),
        )  # fmt: skip
    if peak(intervals(mine), start, end) >= rules.pool.max_per_user:
        raise OverQuota(
            N_("Of %(pool)s nobody may have more than %(most)s at once, and %(user)s has booked that time already."),
            rule="pool.max-per-user", fix=N_("Take another time, or move the other booking."),
            pool=str(rules.pool), most=rules.pool.max_per_user, user=user.username,
        )  # fmt: skip


def check_still_free_to_change(rules: BookingRules, booking: Booking, now: datetime) -> None:
    """Raise Conflict when it is too late for its user to move or cancel it."""
    if now > booking.start - timedelta(minutes=rules.cancel_until):
        raise Conflict(
            N_("A booking of %(pool)s can be changed until %(minutes)s minutes before it begins."),
            rule="booking.cancel-until", fix=N_("Ask who manages the pool; or simply do not come, then it lapses."),
            pool=str(rules.pool), minutes=rules.cancel_until,
        )  # fmt: skip


def _minute(value: Any, field: str) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise Invalid(N_("This is no moment."), field=field, fix=N_("Give a day, a time and its zone."))
    try:
        at = value.astimezone(UTC).replace(second=0, microsecond=0)
    except OverflowError as error:
        raise _far(field) from error
    if at > LATEST:
        raise _far(field)
    return at


def _far(field: str) -> Invalid:
    return Invalid(N_("That is too far away."), field=field, fix=N_("Take a nearer time."))
