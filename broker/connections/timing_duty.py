"""Duty: complete the waits whose agent has answered since, count them into the totals, forget old ones.

The totals only grow, also when the waits behind them are forgotten: what a metrics server reads must not fall.
"""

from bisect import bisect_left
from collections import defaultdict
from datetime import timedelta

from django.db import transaction

from broker.core import clock
from broker.virt.models import VirtualMachine

from . import timing_facts
from .models import SessionTiming, TimingTotal
from .models.timing import PHASES, TOTAL

AGENT_AWAITED = timedelta(minutes=10)
"""A guest whose agent has not answered by then has none."""
KEPT = timedelta(days=90)
BATCH = 1000
_WRITTEN = (
    "pool_id", "began_at", "sign_in", "allocation", "start", "boot", "agent", "total", "looked_up", "open",
)  # fmt: skip
BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0)
"""Upper bounds of the buckets in seconds."""


def tidy() -> int:
    """One pass; returns how many waits were counted. A batch each of completing, counting and forgetting."""
    _complete()
    counted = _count()
    old = SessionTiming.objects.filter(at__lt=clock.now() - KEPT, counted=True).values_list("pk", flat=True)[:BATCH]
    SessionTiming.objects.filter(pk__in=list(old)).delete()
    return counted


def _complete() -> None:
    """Fill in what is known, and what the agent says, or stop waiting for it."""
    now = clock.now()
    rows = list(SessionTiming.objects.filter(open=True, counted=False).select_related("vm").order_by("at")[:BATCH])
    fresh = [row for row in rows if not row.looked_up]
    timing_facts.read(fresh)
    done = [row for row in rows if _fill(row) or row.at < now - AGENT_AWAITED]
    for row in done:
        row.open = False
        row.total = _total(row)
    SessionTiming.objects.bulk_update({*fresh, *done}, _WRITTEN, batch_size=100)


def _fill(row: SessionTiming) -> bool:
    """Whether all is known that will be."""
    vm = row.vm
    if vm is None or vm.boot_id != row.boot_id or vm.booted_at is None or vm.booted_at < row.began_at - AGENT_AWAITED:
        return True
    if _was_up(row, vm):
        return True
    if vm.agent_at is None:
        return False
    since = max(vm.booted_at, row.began_at)
    row.boot = max(0, round((vm.agent_at - since).total_seconds() * 1000))
    if vm.online_at is None:
        return False
    row.agent = max(0, round((vm.online_at - max(vm.agent_at, row.began_at)).total_seconds() * 1000))
    return True


def _was_up(row: SessionTiming, vm: VirtualMachine) -> bool:
    """The desktop was there before it was asked for: nobody waited for its guest."""
    return vm.agent_at is not None and vm.agent_at <= row.began_at


def _total(row: SessionTiming) -> int:
    """What passed from asking to the picture or, if that came later, to the guest that answers; and the sign-in."""
    waited = (row.at - row.began_at).total_seconds() * 1000
    guest = 0.0
    if row.boot is not None and row.vm is not None and row.vm.booted_at is not None:
        begun = max(row.vm.booted_at, row.began_at)
        guest = (begun - row.began_at).total_seconds() * 1000 + row.boot + (row.agent or 0)
    return max(0, round(max(waited, guest))) + (row.sign_in or 0)


@transaction.atomic
def _count() -> int:
    rows = list(SessionTiming.objects.select_for_update().filter(open=False, counted=False).order_by("pk")[:BATCH])
    if not rows:
        return 0
    fresh: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in rows:
        for phase in (*PHASES, TOTAL):
            if (took := getattr(row, phase)) is not None:
                fresh[(str(row.pool_id or ""), phase)].append(took)
    for (pool, phase), times in sorted(fresh.items()):
        total, _made = TimingTotal.objects.select_for_update().get_or_create(pool=pool, phase=phase)
        buckets = list(total.buckets) or [0] * (len(BOUNDS) + 1)
        for took in times:
            buckets[bisect_left(BOUNDS, took / 1000)] += 1
        TimingTotal.objects.filter(pk=total.pk).update(buckets=buckets, sum_ms=total.sum_ms + sum(times))
    SessionTiming.objects.filter(pk__in=[row.pk for row in rows]).update(counted=True)
    return len(rows)
