"""The part of a pool's page about being ready: what counts now, its times, who waits, and what is expected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.dates import WEEKDAYS_ABBR
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from broker.core import clock
from pools.aiming import read
from pools.calendar import read_windows
from pools.models import Pool, PoolForecast
from pools.queue import waiting

from .waiting import opens

MOST_NAMED = 20
SHADES = 5


@dataclass(frozen=True, slots=True)
class Hour:
    """A cell of the forecast's table. `shade` from 0 (nobody) to SHADES; `now`: the present hour."""

    expected: int
    shade: int
    now: bool
    title: str


@dataclass(frozen=True, slots=True)
class TimesRow:
    when: str
    what: str
    now: bool


def ready_part(pool: Pool, *, manageable: bool) -> dict[str, Any]:
    """Two queries."""
    people = list(waiting(pool).select_related("user")) if manageable else []
    row = PoolForecast.objects.filter(pool=pool).first() if manageable else None
    return {
        "now": _now(pool),
        "opens": opens(pool),
        "schedule": _rows(pool.schedule),
        "hours": _rows(pool.hours),
        "people": [{"name": str(one.user), "since": one.joined_at} for one in people[:MOST_NAMED]],
        "more": max(len(people) - MOST_NAMED, 0),
        "forecast": _forecast(pool, row) if row else None,
        "times_url": reverse("portal:pool-times", args=[pool.pk]) if manageable else "",
    }


def _now(pool: Pool) -> str:
    """What counts now and why, as one sentence; empty when these are the pool's own numbers."""
    target = pool.target
    if not target:
        return ""
    numbers = _numbers(target)
    if target.get("foreseen") is not None:
        foreseen = ngettext(
            "%(count)d desktop is expected to be in use", "%(count)d desktops are expected to be in use",
            target["foreseen"],
        ) % {"count": target["foreseen"]}  # fmt: skip
        return _("Now %(numbers)s: %(why)s.") % {"numbers": numbers, "why": foreseen}
    return _("Now %(numbers)s, by the times below.") % {"numbers": numbers}


def _numbers(row: Mapping[str, Any]) -> str:
    words = {"size": _("size %(count)d"), "prestarted": _("%(count)d running"), "suspended": _("%(count)d suspended")}
    return ", ".join(text % {"count": row[name]} for name, text in words.items() if row.get(name) is not None)


def _rows(rows: Sequence[Mapping[str, Any]]) -> list[TimesRow]:
    now = clock.now()
    return [
        TimesRow(f"{_days(row['days'])} {row['start']}–{row['end']} ({row['zone']})", _numbers(row), window.covers(now))
        for row, window in zip(rows, read_windows(rows), strict=True)
    ]


def _days(days: Sequence[int]) -> str:
    """ "Mon–Fri", "Sat, Sun": runs of three and more are drawn together."""
    runs: list[list[int]] = []
    for day in days:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    parts = []
    for run in runs:
        names = [str(WEEKDAYS_ABBR[day]) for day in run]
        parts += [f"{names[0]}–{names[-1]}"] if len(run) > 2 else names
    return ", ".join(parts)


def _forecast(pool: Pool, row: PoolForecast) -> dict[str, Any]:
    made = read(row)
    most = max((cell.expected for day in made.cells for cell in day), default=0)
    here = made.at(clock.now())
    basis = {
        "hour": _("the same hour of earlier weeks"), "similar days": _("similar days"), "all days": _("all days"),
        "nothing": _("nothing yet"),
    }  # fmt: skip
    days = []
    for number, day in enumerate(made.cells):
        hours = [
            Hour(
                cell.expected,
                -(-SHADES * cell.expected // most) if most else 0,
                cell is here,
                _("%(count)d from %(samples)d samples: %(basis)s")
                % {"count": cell.expected, "samples": cell.samples, "basis": basis[cell.basis]},
            )
            for cell in day
        ]
        days.append({"name": WEEKDAYS_ABBR[number], "hours": hours})
    return {
        "days": days, "most": most, "zone": row.zone, "made_at": row.made_at, "weeks": row.weeks,
        "hours": list(range(24)), "on": pool.forecast, "soon": made.soon(clock.now()),
    }  # fmt: skip
