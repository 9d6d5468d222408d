"""Minutes become hours, hours become days: a duty that makes each coarse slot anew from the fine ones until it is over.

Doing it twice comes to the same. Whatever time no worker ran is made up for as long as the fine slots are still there.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Avg, Max

from broker.core import clock
from broker.virt.models import HostLoad, LoadMark, MachineLoad
from broker.virt.models.load import METRICS, Load, Span

from .book import put
from .slots import STEP, begin, kept, slot

OWNERS_AT_ONCE = 200
LATE = timedelta(minutes=10)  # for so long after its end a slot may still get what was written late
NAMES: dict[type[Load], str] = {MachineLoad: "machine", HostLoad: "host"}
_AGGREGATES: dict[str, Any] = {f"now_{metric}_avg": Avg(f"{metric}_avg") for metric in METRICS} | {
    f"now_{metric}_max": Max(f"{metric}_max") for metric in METRICS
}


def roll_up() -> None:
    """Every few minutes."""
    for model in NAMES:
        _roll(model, Span.MINUTE, Span.HOUR)
        _roll(model, Span.HOUR, Span.DAY)


def _roll(model: type[Load], fine: Span, coarse: Span) -> None:
    now, name = clock.now(), f"{NAMES[model]}-{coarse.name.lower()}"
    mark = LoadMark.objects.filter(name=name).first()
    oldest = begin(coarse, now - kept(fine)) + STEP[coarse]
    start = max(mark.until, oldest) if mark else oldest
    while start <= now:
        _make(model, fine, coarse, start)
        start += STEP[coarse]
    LoadMark.objects.update_or_create(name=name, defaults={"until": begin(coarse, now - LATE)})


def _make(model: type[Load], fine: Span, coarse: Span, start: datetime) -> None:
    """The slots of one hour or day, for all owners. The fine slots of it follow each other: see SLOTS."""
    first, count = slot(fine, start), STEP[coarse] // STEP[fine]
    of_it: dict[str, Any] = {"span": fine, "slot__gte": first, "slot__lt": first + count, "at__gte": start}
    meta: Any = model._meta
    owner = meta.get_field("owner")
    owners = list(owner.related_model._base_manager.order_by("pk").values_list("pk", flat=True))
    rows: Any = model._base_manager
    for number in range(0, len(owners), OWNERS_AT_ONCE):
        some = rows.filter(owner__in=owners[number : number + OWNERS_AT_ONCE], **of_it)
        found = some.order_by().values("owner_id").annotate(**_AGGREGATES)
        put([_row(model, one, coarse, start) for one in found])


def _row(model: type[Load], one: dict[str, Any], coarse: Span, start: datetime) -> Load:
    figures = {
        name.removeprefix("now_"): None if value is None else round(value)
        for name, value in one.items()
        if name.startswith("now_")
    }
    values: dict[str, Any] = {"owner_id": one["owner_id"], **figures}
    return model(span=coarse, slot=slot(coarse, start), at=start, **values)
