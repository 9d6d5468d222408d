"""Load over time: counters become rates, rates become Sample rows, and old rows go.

Cost is bounded: a host writes at most WRITTEN_PER_PASS samples in one statement per pass. With more machines
running than that, each gets its turn, at the latest every minute up to six times as many. Kept is KEPT; longer
spans are in `loads`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from broker.core import clock

from . import observe
from .driver import UNTOLD, Observation, PowerState
from .models import Sample, VirtualMachine

WRITTEN_PER_PASS = 200
KEPT = timedelta(hours=2)
PURGE_BATCH = 5000


@dataclass(frozen=True, slots=True)
class Reading:
    """What a machine did between two observations; rates in bytes per second, None where not told."""

    vm_id: UUID
    at: datetime
    cpu_percent: int | None
    cpus: float | None  # so many processors were busy
    memory_used: int | None
    disk_read: int | None
    disk_written: int | None
    net_received: int | None
    net_sent: int | None

    @property
    def tells(self) -> bool:
        """Whether anything was told: a hypervisor without counters, or one that hangs, tells nothing worth keeping."""
        told = (self.cpu_percent, self.memory_used, self.disk_read, self.disk_written, self.net_received, self.net_sent)
        return any(one is not None for one in told)


class Meter:
    """Remembers the last counters of each run of a machine, and tells what happened since."""

    def __init__(self) -> None:
        self._last: dict[str, Observation] = {}
        self._turn = 0

    def read(self, observations: Iterable[Observation]) -> list[Reading]:
        """A reading for each running machine seen before in the same run. Call with every full pass.

        None of one that told nothing then and tells nothing now.
        """
        running = {one.uuid: one for one in observations if one.power is PowerState.RUNNING}
        pairs = [
            (last, one)
            for uuid, one in running.items()
            if (last := self._last.get(uuid)) and (one.counters is not UNTOLD or last.counters is not UNTOLD)
        ]
        self._last = running
        return [reading for last, one in pairs if last.boot_id == one.boot_id and (reading := _between(last, one))]

    def keep(self, readings: Sequence[Reading]) -> None:
        """Write the readings of our machines: the present load to the machines, and samples, a bounded number."""
        if not readings:
            return
        start = self._turn % len(readings) if len(readings) > WRITTEN_PER_PASS else 0
        chosen = [*readings, *readings][start : start + min(WRITTEN_PER_PASS, len(readings))]
        self._turn = start + len(chosen)
        observe.write_loads({one.vm_id: (one.cpu_percent, one.memory_used) for one in chosen})
        chosen = [one for one in chosen if one.tells]
        if not chosen:
            return
        ours = set(VirtualMachine.objects.filter(pk__in=[one.vm_id for one in chosen]).values_list("pk", flat=True))
        Sample.objects.bulk_create(
            Sample(
                vm_id=one.vm_id, at=one.at, cpu_percent=one.cpu_percent, memory_used_bytes=one.memory_used,
                disk_read_rate=one.disk_read, disk_write_rate=one.disk_written, net_in_rate=one.net_received,
                net_out_rate=one.net_sent,
            )
            for one in chosen
            if one.vm_id in ours
        )  # fmt: skip


def recent(vm: VirtualMachine, *, span: timedelta = timedelta(hours=1)) -> list[Sample]:
    """The samples of the last `span`, oldest first."""
    return list(Sample.objects.filter(vm=vm, at__gt=clock.now() - span).order_by("at"))


def purge() -> int:
    """Remove samples older than KEPT, a batch at a time so that no lock is held for long; returns how many."""
    removed, limit = 0, clock.now() - KEPT
    while keys := list(Sample.objects.filter(at__lt=limit).values_list("pk", flat=True)[:PURGE_BATCH]):
        removed += Sample.objects.filter(pk__in=keys).delete()[0]
    return removed


def _between(last: Observation, one: Observation) -> Reading | None:
    seconds = (one.at - last.at).total_seconds()
    if seconds <= 0:
        return None
    before, after = last.counters, one.counters

    def rate(old: int | None, new: int | None) -> int | None:
        # A counter that fell was reset (a card was unplugged): that interval says nothing.
        return None if old is None or new is None or new < old else round((new - old) / seconds)

    cpu = rate(before.cpu_time_ns, after.cpu_time_ns)
    return Reading(
        vm_id=UUID(one.uuid),
        at=one.at,
        cpu_percent=None if cpu is None else min(round(cpu / 1e7 / max(one.vcpus, 1)), 100),
        cpus=None if cpu is None else cpu / 1e9,
        memory_used=after.memory_used,
        disk_read=rate(before.disk_read, after.disk_read),
        disk_written=rate(before.disk_written, after.disk_written),
        net_received=rate(before.net_received, after.net_received),
        net_sent=rate(before.net_sent, after.net_sent),
    )
