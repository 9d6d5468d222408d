"""HostDevice: a PCI or USB device of a host that a machine can have for its own, as the monitor last saw it."""

import uuid

from django.db import models

from broker.virt.driver import DeviceSpec

from .host import Host
from .machine import VirtualMachine


class HostDevice(models.Model):
    """`key` names it on its host, as DeviceSpec does. `group`: of the IOMMU. `unfit`: why no machine can have it, in a
    word of the driver's UNFIT. One that is not `present` was pulled out; it is kept for the machines that have it.
    """

    access_kind = "device"

    class Kind(models.TextChoices):
        PCI = "pci", "PCI"
        USB = "usb", "USB"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="host_devices", editable=False)
    key = models.CharField(max_length=32, editable=False)
    kind = models.CharField(max_length=4, choices=Kind, editable=False)
    address = models.CharField(max_length=16, blank=True, editable=False)
    vendor = models.CharField(max_length=4, blank=True, editable=False)
    product = models.CharField(max_length=4, blank=True, editable=False)
    title = models.CharField(max_length=255, blank=True, editable=False)
    driver = models.CharField(max_length=64, blank=True, editable=False)
    group = models.PositiveIntegerField(null=True, editable=False)
    unfit = models.CharField(max_length=16, blank=True, editable=False)
    present = models.BooleanField(default=True, editable=False)

    class Meta:
        ordering = ("key",)
        constraints = (models.UniqueConstraint(fields=("host", "key"), name="device_once_per_host"),)

    def __str__(self) -> str:
        return f"{self.title} ({self.key})" if self.title else self.key

    @property
    def name(self) -> str:
        return str(self)

    @property
    def spec(self) -> DeviceSpec:
        return DeviceSpec(
            "pci" if self.kind == self.Kind.PCI else "usb",
            address=self.address,
            vendor=self.vendor,
            product=self.product,
        )


class DeviceUse(models.Model):
    """What a machine has of its host's devices, or (not `plugged`) will have."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    vm = models.ForeignKey(VirtualMachine, on_delete=models.CASCADE, related_name="devices")
    device = models.ForeignKey(HostDevice, on_delete=models.PROTECT, related_name="uses")
    plugged = models.BooleanField(default=True, editable=False)

    class Meta:
        verbose_name = "machine"
        ordering = ("device__key",)
        constraints = (models.UniqueConstraint(fields=("vm", "device"), name="device_use_once"),)

    def __str__(self) -> str:
        return self.vm.name
