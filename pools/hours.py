"""Opening hours of a pool: outside of them no desktop is handed out."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils.formats import date_format

from broker.core import clock
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_

from .calendar import Opening, opening, read_windows
from .models import Pool

WARNED_BEFORE = timedelta(minutes=15)


def opening_of(pool: Pool, at: datetime | None = None) -> Opening:
    """Whether the pool is open, now or at that moment, and when that changes."""
    return opening(read_windows(pool.hours), at or clock.now()) if pool.hours else Opening(True)


def require_open(pool: Pool) -> None:
    """Raise Conflict saying when it opens, outside of the pool's hours."""
    if not pool.hours or (state := opening_of(pool)).open:
        return
    if state.changes is None:
        raise Conflict(
            N_("%(pool)s is closed."), rule="pool.hours", about=pool, fix=N_("Ask your administrator when it opens."),
            pool=str(pool),
        )  # fmt: skip
    raise Conflict(
        N_("%(pool)s is closed now; it opens on %(when)s."),
        rule="pool.hours",
        about=pool,
        fix=N_("Come back then, or ask your administrator for longer hours."),
        pool=str(pool),
        when=moment(state.changes, zone_of(pool)),
    )


def closing(pool: Pool) -> datetime | None:
    """When the pool closes, for who has a desktop: a moment that is near, or not in the future when it has closed.

    None while it is open for longer, and in pools that do not warn.
    """
    if not pool.hours or pool.after_hours != Pool.AfterHours.WARN:
        return None
    now = clock.now()
    state = opening_of(pool, now)
    if not state.open:
        return now
    return state.changes if state.changes and state.changes - now <= WARNED_BEFORE else None


def zone_of(pool: Pool) -> str:
    """The zone in which the pool's hours are written, to tell moments in it."""
    return str(pool.hours[0]["zone"]) if pool.hours else pool.zone


def moment(at: datetime, zone: str) -> str:
    """A moment as clocks in `zone` show it, in the reader's language: "Monday 23 November, 08:00 (Europe/Berlin)"."""
    return f"{date_format(at.astimezone(ZoneInfo(zone)), 'l j F, H:i')} ({zone})"
