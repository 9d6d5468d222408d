"""Reading it: the spans one may look at, and a machine's or host's points in one of them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.core import clock
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.virt.models import Host, VirtualMachine
from broker.virt.models.load import FIGURES, Span

from .slots import STEP, begin

Point = dict[str, int | None]


@dataclass(frozen=True, slots=True)
class Range:
    name: str
    span: Span
    length: timedelta

    @property
    def step(self) -> timedelta:
        return STEP[self.span]


RANGES = {
    one.name: one
    for one in (
        Range("day", Span.MINUTE, timedelta(days=1)),
        Range("week", Span.HOUR, timedelta(days=7)),
        Range("60-days", Span.HOUR, timedelta(days=60)),
        Range("5-years", Span.DAY, timedelta(days=5 * 365)),
    )
}


def range_called(name: str) -> Range:
    if name not in RANGES:
        raise Invalid(
            N_("There is no history of that range."), field="range", fix=N_("Use one of %(names)s."),
            names=", ".join(RANGES),
        )  # fmt: skip
    return RANGES[name]


def points(owner: VirtualMachine | Host, asked: Range) -> list[tuple[datetime, Point]]:
    """What is known of the range, oldest first; minutes, hours or days of which nothing is known are left out."""
    since = begin(asked.span, clock.now() - asked.length) + asked.step
    rows = owner.loads.filter(span=asked.span, at__gte=since).order_by("at").values_list("at", *FIGURES)
    return [(row[0], dict(zip(FIGURES, row[1:], strict=True))) for row in rows]


def evenly(owner: VirtualMachine | Host, asked: Range) -> tuple[list[datetime], list[Point]]:
    """The same with a point for each minute, hour or day, empty where nothing is known: a chart shows the gap."""
    known = dict(points(owner, asked))
    last = begin(asked.span, clock.now())
    moments = [last - asked.step * number for number in range(asked.length // asked.step - 1, -1, -1)]
    nothing: Point = dict.fromkeys(FIGURES)
    return moments, [known.get(moment, nothing) for moment in moments]
