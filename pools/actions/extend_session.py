"""Put off the end of one's session."""

from django.db import transaction
from django.db.models import F

from broker.access.actor import Actor
from broker.access.require import require, within
from broker.core import clock
from broker.core.errors import Conflict, OverQuota
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from pools.booked import lock_pool
from pools.extending import fits_longer
from pools.models import Booking, Desktop, Sitting
from pools.session_duty import rules_of
from pools.session_facts import Screens, facts_of, sitting_of
from pools.session_rules import Due, Rules, Trigger, warned


@transaction.atomic
def extend_session(*, actor: Actor, desktop: Desktop) -> Sitting:
    """Put off the end of the longest session or the booked time by the pool's extension, once it has been warned of.

    Returns the sitting.

    For the holder; others need "pool.manage". Pressing twice at once extends once. Raises Missing, Denied; Conflict
    when there is no end near, or others booked what follows; OverQuota when it was put off as often as the pool allows.
    """
    if actor.user_id is None or desktop.holder_id != actor.user_id or not within(actor, "pool.use", desktop.pool):
        require(actor, "pool.manage", desktop.pool)
    locked = Sitting.objects.select_for_update().filter(pk=desktop.pk).first()
    if locked is not None:
        desktop.sitting = locked
    booking = _locked_booking(desktop)
    sitting, rules = sitting_of(desktop), rules_of(desktop)
    end = _end(desktop, sitting, rules) if sitting else None
    if sitting is None or end is None:
        raise Conflict(
            N_("No end of this session is near."),
            rule="session.longest",
            about=desktop.vm,
            fix=N_("Wait until the page warns of it."),
        )
    if sitting.extensions >= rules.extensions:
        raise OverQuota(
            N_("This session was put off as often as its pool allows (%(most)s)."),
            rule="session.extensions",
            about=desktop.vm,
            fix=N_("Save your work; you can open a new session afterwards."),
            most=rules.extensions,
        )
    seconds = int(rules.extension.total_seconds())
    if booking is not None and end.step.trigger is Trigger.BOOKING:
        _extend(booking, desktop, rules)
        Sitting.objects.filter(pk=sitting.pk).update(extensions=F("extensions") + 1)
    else:
        Sitting.objects.filter(pk=sitting.pk).update(extended=F("extended") + seconds, extensions=F("extensions") + 1)
    sitting.refresh_from_db()
    record(
        "session.extended",
        actor=actor,
        subject=desktop.vm,
        message=N_("%(by)s put off the end of the session at %(vm)s by %(seconds)s seconds."),
        by=actor.name,
        vm=desktop.vm,
        seconds=seconds,
    )
    publish("desktop", desktop.pk, "sitting")
    return sitting


def _locked_booking(desktop: Desktop) -> Booking | None:
    """The desktop's booking as it is now, with its pool locked: what follows it stays free until this is written."""
    if not desktop.pool.booked:
        return None
    lock_pool(desktop.pool)
    booking = Booking.objects.select_for_update(of=("self",)).select_related("pool").filter(desktop=desktop).first()
    if booking is not None:
        desktop.booking = booking
    return booking


def _extend(booking: Booking, desktop: Desktop, rules: Rules) -> None:
    if not fits_longer(booking, rules):
        raise Conflict(
            N_("Others have booked what follows."), rule="booking.free", about=desktop.vm,
            fix=N_("Save your work; the calendar of the pool shows what is free later."),
        )  # fmt: skip
    Booking.objects.filter(pk=booking.pk).update(end=booking.end + rules.extension)
    publish("pool", booking.pool_id, "bookings")


def _end(desktop: Desktop, sitting: Sitting, rules: Rules) -> Due | None:
    """The end that was warned of; also told to who has just dropped off and comes back to press the button."""
    return warned(rules, facts_of(desktop, sitting, Screens(opened_at=sitting.began_at)), clock.now())
