"""Charts of load: which spans there are to look at, and the columns that the charts draw."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _

from broker.core import clock
from broker.virt.loads.ranges import RANGES, evenly
from broker.virt.models import Host, Sample, VirtualMachine

NOW = "now"
PRESENT = timedelta(hours=2)
Series = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Tab:
    query: str
    label: str
    current: bool


@dataclass(frozen=True, slots=True)
class Charts:
    """What templates/portal/partials/loads.html draws. `high`: processor and memory have a line of the highest too."""

    tabs: list[Tab]
    series: Series
    span: str  # in words, for who does not see the chart
    high: bool
    live: bool

    @property
    def known(self) -> bool:
        told = (value for name, column in self.series.items() if name != "x" for value in column)
        return len(self.series["x"]) > 1 and any(value is not None for value in told)


def of_machine(vm: VirtualMachine, asked: str) -> Charts:
    """Its readings of the last two hours, or what is kept of a longer span."""
    if asked in RANGES:
        return _long(vm, asked, vm.memory_mib << 20, present=True)
    return Charts(_tabs(NOW, present=True), _present(vm), _labels()[NOW], high=False, live=True)


def of_host(host: Host, asked: str) -> Charts:
    return _long(host, asked if asked in RANGES else "day", host.memory_bytes, present=False)


def _labels() -> dict[str, str]:
    return {
        NOW: _("2 hours"), "day": _("A day"), "week": _("A week"), "60-days": _("60 days"), "5-years": _("5 years"),
    }  # fmt: skip


def _tabs(asked: str, *, present: bool) -> list[Tab]:
    return [Tab(f"?range={name}", label, name == asked) for name, label in _labels().items() if present or name != NOW]


def _long(owner: VirtualMachine | Host, asked: str, memory: int, *, present: bool) -> Charts:
    moments, points = evenly(owner, RANGES[asked])
    series: Series = {"x": [int(moment.timestamp()) for moment in moments]}
    for column, figure in (("cpu", "cpu_avg"), ("cpu_high", "cpu_max"), ("net_in", "net_in_avg"),
                           ("net_out", "net_out_avg"), ("disk_read", "disk_read_avg"),
                           ("disk_write", "disk_write_avg")):  # fmt: skip
        series[column] = [point[figure] for point in points]
    for column, figure in (("memory", "memory_avg"), ("memory_high", "memory_max")):
        series[column] = [_percent(point[figure], memory) for point in points]
    return Charts(_tabs(asked, present=present), series, _labels()[asked], high=True, live=False)


def _present(vm: VirtualMachine) -> Series:
    """The readings as columns for the charts; memory in percent of what the machine has."""
    names = (
        "at", "cpu_percent", "memory_used_bytes", "net_in_rate", "net_out_rate", "disk_read_rate", "disk_write_rate",
    )  # fmt: skip
    rows = list(Sample.objects.filter(vm=vm, at__gte=clock.now() - PRESENT).order_by("at").values_list(*names))
    return {
        "x": [int(row[0].timestamp()) for row in rows],
        "cpu": [row[1] for row in rows],
        "memory": [_percent(row[2], vm.memory_mib << 20) for row in rows],
        "net_in": [row[3] for row in rows],
        "net_out": [row[4] for row in rows],
        "disk_read": [row[5] for row in rows],
        "disk_write": [row[6] for row in rows],
    }


def _percent(used: int | None, whole: int) -> float | None:
    return None if used is None or not whole else min(round(100 * used / whole, 1), 100.0)
