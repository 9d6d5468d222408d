"""Load over long spans, at constant size: each machine and host has a fixed number of slots, written over in turn.

A slot is found by its number (the minute of the day, the hour of sixty days, the day of five years), so that nothing
is ever searched to be removed. `at` says which minute, hour or day a slot tells of: older than its span means stale.
"""

from django.db import models

from .host import Host
from .machine import VirtualMachine

METRICS = ("cpu", "memory", "disk_read", "disk_write", "net_in", "net_out")
FIGURES = tuple(f"{metric}_{kind}" for metric in METRICS for kind in ("avg", "max"))


class Span(models.IntegerChoices):
    MINUTE = 0
    HOUR = 1
    DAY = 2


class Load(models.Model):
    """Average and highest load in a minute, hour or day: processor in percent, memory in bytes, rates a second."""

    span = models.SmallIntegerField(choices=Span)
    slot = models.SmallIntegerField()
    at = models.DateTimeField()
    cpu_avg = models.SmallIntegerField(null=True)
    cpu_max = models.SmallIntegerField(null=True)
    memory_avg = models.BigIntegerField(null=True)
    memory_max = models.BigIntegerField(null=True)
    disk_read_avg = models.BigIntegerField(null=True)
    disk_read_max = models.BigIntegerField(null=True)
    disk_write_avg = models.BigIntegerField(null=True)
    disk_write_max = models.BigIntegerField(null=True)
    net_in_avg = models.BigIntegerField(null=True)
    net_in_max = models.BigIntegerField(null=True)
    net_out_avg = models.BigIntegerField(null=True)
    net_out_max = models.BigIntegerField(null=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{Span(self.span).label} {self.at:%Y-%m-%d %H:%M}"


class MachineLoad(Load):
    owner = models.ForeignKey(VirtualMachine, on_delete=models.CASCADE, related_name="loads", db_index=False)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("owner", "span", "slot"), name="machine_load_slot"),)


class HostLoad(Load):
    """What the machines of a host did together; memory is what the whole host uses."""

    owner = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="loads", db_index=False)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("owner", "span", "slot"), name="host_load_slot"),)


class LoadMark(models.Model):
    """Up to when minutes were made hours of, and hours days."""

    name = models.CharField(max_length=32, primary_key=True)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} {self.until:%Y-%m-%d %H:%M}"
