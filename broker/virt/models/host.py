"""Host: a machine that runs KVM. `state` is what an admin wants of it; observed_* is what was seen."""

import uuid

from django.db import models

from broker.virt.states import HostState

from .cluster import Cluster


class Host(models.Model):
    """Identity is `observed_uuid`, the hypervisor's own id: a host that answers with another is refused.

    `address` is how the other hosts reach it, where that differs from the name in `uri`.
    `host_key` is the SSH key it has to show, where it is reached that way (ssh/host_key.py); the first one seen, if
    nobody gave it. Only the monitor writes observed_* and, by `ticked_seconds` (driver/observation.py), `rebooted_at`.
    `error` is why the host cannot be reached, empty when it can. `monitor` and `monitor_until` say which monitor
    process looks after it. `may_sleep`: it may be switched off to save power. `asleep_at`: since when power management
    says that it is off for that; `empty_since`: since when nothing has run on it, written by power_saving.py alone.
    `nodes`: its NUMA nodes, each {"number", "cpus", "memory_bytes"}; `cpus` as "0-3", and "pages", each {"kib",
    "total", "free"}.
    """

    access_kind = "host"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="hosts")
    name = models.CharField(max_length=64, unique=True)
    driver = models.CharField(max_length=32, default="libvirt")
    uri = models.CharField(max_length=255, default="qemu:///system")
    address = models.CharField(max_length=255, blank=True)
    host_key = models.TextField(blank=True)
    state = models.CharField(max_length=16, default=HostState.ACTIVE, choices=[(s, s) for s in HostState])
    observed_at = models.DateTimeField(null=True, editable=False)
    observed_uuid = models.CharField(max_length=36, blank=True, editable=False)
    hostname = models.CharField(max_length=255, blank=True, editable=False)
    hypervisor = models.CharField(max_length=64, blank=True, editable=False)
    manager = models.CharField(max_length=64, blank=True, editable=False)
    cpus = models.PositiveIntegerField(default=0, editable=False)
    cpu_model = models.CharField(max_length=128, blank=True, editable=False)
    memory_bytes = models.PositiveBigIntegerField(default=0, editable=False)
    memory_free_bytes = models.PositiveBigIntegerField(default=0, editable=False)
    emulated = models.BooleanField(default=False, editable=False)
    emulated_reason = models.CharField(max_length=255, blank=True, editable=False)
    graphics = models.JSONField(default=list, editable=False)
    cpu_models = models.JSONField(default=list, editable=False)
    nodes = models.JSONField(default=list, editable=False)
    ticked_seconds = models.PositiveBigIntegerField(null=True, editable=False)
    rebooted_at = models.DateTimeField(null=True, editable=False)
    may_sleep = models.BooleanField(default=False)
    asleep_at = models.DateTimeField(null=True, editable=False)
    empty_since = models.DateTimeField(null=True, editable=False)
    labels = models.JSONField(default=list, blank=True, editable=False)
    error = models.TextField(blank=True, editable=False)
    monitor = models.CharField(max_length=128, blank=True, editable=False)
    monitor_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def trouble(self) -> str:
        """Its error, but for a host that is silent because it was switched off to save power."""
        return "" if self.state == HostState.ASLEEP else self.error
