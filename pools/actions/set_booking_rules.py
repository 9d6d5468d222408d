"""Say whether and how desktops of a pool are booked."""

from datetime import datetime
from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core import clock
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names
from pools.booked import lock_pool, rules_for
from pools.calendar import checked_zone
from pools.keeping_holders import keep_holders
from pools.models import Booking, BookingRules, Desktop, Pool
from pools.models.pool import LARGEST
from pools.shrinking import check_capacity, others_to_come
from pools.states import BOOKING, POOL
from pools.wake import wake

LONGEST = 7 * 24 * 60
# name → least and most; times in minutes
NUMBERS = {
    "shortest": (5, LONGEST), "longest": (5, LONGEST), "ahead": (1, 365), "per_person": (1, 100), "grace": (1, LONGEST),
    "cancel_until": (0, LONGEST),
}  # fmt: skip
FIELDS = frozenset(NUMBERS) | {"capacity", "walk_in", "zone", "booked"}


@transaction.atomic
def set_booking_rules(*, actor: Actor, pool: Pool, **changes: Any) -> BookingRules:
    """Write those of FIELDS that are given; `booked` is the switch, `capacity` None is the pool's size.

    Returns the rules. Who has a desktop when it is switched on keeps it for the longest time, or until others need it;
    switching it off is refused while bookings are to come, and a smaller capacity while more are booked at once. Raises
    Missing, Denied, Invalid, or Conflict.
    """
    require(actor, "pool.manage", pool)
    if unknown := sorted(changes.keys() - FIELDS):
        raise Invalid(
            N_("Booking rules have no “%(what)s”."), field=unknown[0], fix=N_("Leave it out."), what=unknown[0]
        )
    values = {name: _checked(name, value) for name, value in changes.items()}
    lock_pool(pool)
    pool.refresh_from_db(fields=["booked", "size", "state", "hours", "kind"])
    if not POOL.is_(pool.state, "open"):
        raise Conflict(
            N_("The pool %(pool)s is being deleted."), rule="pool.open", fix=N_("Make another pool."), pool=str(pool)
        )
    if pool.is_physical and values.get("booked"):
        raise Invalid(
            N_("This cannot be chosen for a pool of physical PCs."), field="booked", fix=N_("Leave it as it is.")
        )
    rules, was, now = rules_for(pool), pool.booked, clock.now()
    before = {name: was if name == "booked" else getattr(rules, name) for name in values}
    booked = values.get("booked", was)
    for name, value in values.items():
        if name != "booked":
            setattr(rules, name, value)
    _check_together(rules, booked)
    rules.save()
    if was:
        check_capacity(rules, rules.desktops(), now)
    if booked != was:
        (_begin if booked else _end)(rules, now)
        Pool.objects.filter(pk=pool.pk).update(booked=booked)
        pool.booked = booked
    if changed := {name: value for name, value in values.items() if value != before[name]}:
        record(
            "pool.booking-rules", actor=actor, subject=pool,
            message=N_("The bookings of %(pool)s were changed: %(changes)s"),
            pool=pool,
            changes=", ".join(f"{name} {before[name]} → {value}" for name, value in sorted(changed.items()))[:1000],
        )  # fmt: skip
        publish("pool", pool.pk, "bookings")
        wake(pool.pk)
    return rules


def _checked(name: str, value: Any) -> Any:
    if name in NUMBERS:
        least, most = NUMBERS[name]
        return names.number(value, field=name, least=least, most=most)
    if name == "capacity":
        return None if value is None else names.number(value, field=name, least=1, most=LARGEST)
    if name == "zone":
        return checked_zone(value, field=name)
    if not isinstance(value, bool):
        raise Invalid(N_("This is neither yes nor no."), field=name, fix=N_("Give true or false."))
    return value


def _check_together(rules: BookingRules, booked: bool) -> None:
    if rules.longest < rules.shortest:
        raise Invalid(
            N_("The longest time is shorter than the shortest."), field="longest",
            fix=N_("Use at least %(shortest)s minutes."), shortest=rules.shortest,
        )  # fmt: skip
    if booked and rules.pool.kind == Pool.Kind.MANUAL:
        raise Invalid(
            N_("A desktop of this pool stays with its user: it cannot be booked for a time."), field="booked",
            fix=N_("Make the pool automatic first."),
        )  # fmt: skip


def _begin(rules: BookingRules, now: datetime) -> None:
    """Who has a desktop has it from now on for a time."""
    pool = rules.pool
    held = Desktop.objects.filter(pool=pool, holder__isnull=False).count()
    if held > rules.desktops():
        raise Conflict(
            N_("%(count)s desktops of %(pool)s are in use, more than can be booked at once."), rule="desktop.in-use",
            fix=N_("Let as many be booked, or take some back first."), count=held, pool=str(pool),
        )  # fmt: skip
    keep_holders(rules, now)


def _end(rules: BookingRules, now: datetime) -> None:
    """Who has a desktop keeps it as in any pool."""
    if count := others_to_come(rules, now).count():
        raise Conflict(
            N_("%(count)s bookings of %(pool)s are still to come."), rule="booking.open", about=rules.pool,
            fix=N_("Cancel them first, or wait until they are over."), count=count, pool=str(rules.pool),
        )  # fmt: skip
    BOOKING.attempt(Booking.objects.filter(pool=rules.pool, start__lte=now), "end", end=now, desktop=None)
