"""What hosts show beside our machines: foreign machines, samples of load, and who is watching."""

from django.db import models

from .host import Host
from .machine import VirtualMachine


class ForeignMachine(models.Model):
    """A machine on a host that Berth did not make: listed, never touched."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="foreign_machines")
    uuid = models.UUIDField()
    name = models.CharField(max_length=255)
    power_state = models.CharField(max_length=12)
    vcpus = models.PositiveSmallIntegerField(default=0)
    memory_bytes = models.PositiveBigIntegerField(default=0)
    observed_at = models.DateTimeField()

    class Meta:
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=("host", "uuid"), name="foreign_machine_once_per_host"),)

    def __str__(self) -> str:
        return self.name


class Sample(models.Model):
    """One reading of a running machine's load; rates are per second since the reading before."""

    vm = models.ForeignKey(VirtualMachine, on_delete=models.CASCADE, related_name="samples")
    at = models.DateTimeField()
    cpu_percent = models.PositiveSmallIntegerField(null=True)
    memory_used_bytes = models.PositiveBigIntegerField(null=True)
    disk_read_rate = models.PositiveBigIntegerField(null=True)
    disk_write_rate = models.PositiveBigIntegerField(null=True)
    net_in_rate = models.PositiveBigIntegerField(null=True)
    net_out_rate = models.PositiveBigIntegerField(null=True)

    class Meta:
        ordering = ("at",)
        indexes = (models.Index(fields=("vm", "at")), models.Index(fields=("at",)))

    def __str__(self) -> str:
        return f"{self.vm_id} {self.at:%H:%M:%S}"


class MonitorProcess(models.Model):
    """A monitor that is there: how many there are decides how many hosts each takes."""

    name = models.CharField(max_length=128, primary_key=True)
    seen_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "monitor processes"

    def __str__(self) -> str:
        return self.name
