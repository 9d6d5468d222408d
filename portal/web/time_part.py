"""The part of a pool's page that says how long people waited for their desktop."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pools.models import Pool
from pools.time_to_desktop import DAYS, Phase, Summary, summary

from .words import Text

PHASE_WORDS: dict[str, Text] = {
    "sign_in": gettext_lazy("Sign-in"),
    "allocation": gettext_lazy("Getting a desktop"),
    "start": gettext_lazy("Start of its machine"),
    "boot": gettext_lazy("Boot, until its agent answers"),
    "agent": gettext_lazy("Agent, until it is on the network"),
    "picture": gettext_lazy("First picture"),
    "total": gettext_lazy("Altogether"),
}


@dataclass(frozen=True, slots=True)
class PhaseRow:
    """Times in seconds as text; `share` is of the slowest phase's 95th percentile, in percent, for a bar."""

    label: Text
    count: int
    p50: str
    p90: str
    p95: str
    p99: str
    share: int
    slowest: bool
    total: bool


@dataclass(frozen=True, slots=True)
class Span:
    days: int
    label: Text
    current: bool


def time_part(request: HttpRequest, pool: Pool, *, manageable: bool) -> dict[str, Any]:
    """Two queries. `?days=` chooses the span; anything else than those offered falls back to a week."""
    asked = request.GET.get("days", "")
    days = int(asked) if asked in {str(one) for one in DAYS} else 7
    found = summary(pool, days=days)
    return {
        "count": found.count,
        "spans": [Span(one, _span_words(one), one == days) for one in DAYS],
        "rows": _rows(found),
        "slowest": PHASE_WORDS.get(found.slowest, ""),
        "goal": found.goal,
        "within": None if found.within is None else round(100 * found.within),
        "met": found.within is not None and found.within >= 0.95,
        "p95": seconds(found.total.percentiles.get(95)),
        "series": _series(found),
        "names": "median,p95,goal" if found.goal else "median,p95",
        "colors": "1,2,4" if found.goal else "1,2",
        "goal_url": reverse("portal:pool-goal", args=[pool.pk]) if manageable else "",
    }


def _span_words(days: int) -> str:
    return _("24 hours") if days == 1 else _("%(days)d days") % {"days": days}


def _rows(found: Summary) -> list[PhaseRow]:
    most = max((phase.percentiles[95] for phase in found.phases if phase.count), default=0)
    return [_row(phase, found.slowest, most) for phase in found.phases]


def _row(phase: Phase, slowest: str, most: int) -> PhaseRow:
    times = {share: seconds(phase.percentiles.get(share)) for share in (50, 90, 95, 99)}
    return PhaseRow(
        label=PHASE_WORDS[phase.name],
        count=phase.count,
        p50=times[50],
        p90=times[90],
        p95=times[95],
        p99=times[99],
        share=round(100 * phase.percentiles[95] / most) if phase.count and most else 0,
        slowest=phase.name == slowest,
        total=phase.name == "total",
    )


def _series(found: Summary) -> dict[str, list[float | None]]:
    points = found.points
    return {
        "x": [round(point.at.timestamp()) for point in points],
        "median": [None if point.median is None else point.median / 1000 for point in points],
        "p95": [None if point.p95 is None else point.p95 / 1000 for point in points],
        "goal": [float(found.goal)] * len(points) if found.goal else [],
    }


def seconds(took: int | None) -> str:
    """Milliseconds as seconds with as many digits as matter: "0.42 s", "7.3 s", "128 s"."""
    if took is None:
        return "–"
    value = took / 1000
    digits = 2 if value < 1 else 1 if value < 10 else 0
    return _("%(seconds)s s") % {"seconds": f"{value:.{digits}f}"}
