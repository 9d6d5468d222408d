"""What a pool is to have now, by its own numbers, its schedule and its forecast; and the duty that makes forecasts."""

import logging
from datetime import timedelta

from django.db.models import Q

from broker.core import clock
from broker.events.news import publish

from .aim import Aim, aim
from .booked import due_soon
from .calendar import Sizes, read_rules
from .forecast import WEEKS, Cell, Forecast, Use, forecast
from .models import Assignment, Pool, PoolForecast

log = logging.getLogger(__name__)
MADE_ANEW = timedelta(hours=1)


def aim_at(pool: Pool, *, in_use: int) -> Sizes:
    """The numbers that count now, also written to the pool's `target`. At most one query more than the schedule's."""
    found = aim_of(pool, in_use=in_use)
    own = Sizes(pool.size, pool.prestarted, pool.suspended).fitting()
    target = None
    if found.sizes != own or found.scheduled or found.foreseen is not None:
        target = {
            "size": found.sizes.size, "prestarted": found.sizes.prestarted, "suspended": found.sizes.suspended,
            "scheduled": found.scheduled, "foreseen": found.foreseen,
        }  # fmt: skip
    if target != pool.target:
        Pool.objects.filter(pk=pool.pk).update(target=target)
        pool.target = target
        publish("pool", pool.pk, "target")
    return found.sizes


def aim_of(pool: Pool, *, in_use: int) -> Aim:
    """The same, without writing."""
    base = Sizes(pool.size, pool.prestarted, pool.suspended)
    foreseen = forecast_of(pool) if pool.forecast else None
    now = clock.now()
    due = due_soon(pool, now) if pool.booked else 0
    return aim(base, read_rules(pool.schedule), now, foreseen=foreseen, in_use=in_use, due=due)


def forecast_of(pool: Pool) -> Forecast | None:
    """The forecast that was made last; None before the first."""
    row = PoolForecast.objects.filter(pool=pool).first()
    return read(row) if row is not None else None


def read(row: PoolForecast) -> Forecast:
    return Forecast(tuple(tuple(Cell(*cell) for cell in day) for day in row.cells), row.zone)


def make_forecast(pool: Pool) -> PoolForecast:
    """Make it anew from who had desktops in the last weeks: one query, whose rows are read as they come."""
    now = clock.now()
    since = max(pool.created_at, now - timedelta(weeks=WEEKS))
    rows = Assignment.objects.filter(Q(until__isnull=True) | Q(until__gt=since), pool=pool, since__lt=now)
    uses = (Use(begin, end) for begin, end in rows.order_by().values_list("since", "until").iterator())
    made = forecast(uses, now=now, since=since, zone=pool.zone)
    cells = [[[cell.expected, cell.samples, cell.basis] for cell in day] for day in made.cells]
    weeks = max((now - since) // timedelta(weeks=1), 0)
    values = {"made_at": now, "zone": pool.zone, "weeks": weeks, "cells": cells}
    row, _ = PoolForecast.objects.update_or_create(pool=pool, defaults=values)
    return row


def make_forecasts() -> int:
    """The duty: make those anew that are old, or were made for another zone; returns how many."""
    old = clock.now() - MADE_ANEW
    made = 0
    for pool in Pool.objects.select_related("foreseen"):
        present = getattr(pool, "foreseen", None)
        if present is not None and present.made_at > old and present.zone == pool.zone:
            continue
        try:
            make_forecast(pool)
        except Exception:
            log.exception("The forecast of pool %s could not be made; it comes round again", pool.pk)
        made += 1
    return made
