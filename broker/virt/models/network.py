"""Network: what NICs plug into. Nic: one card of a machine; its MAC is unique everywhere."""

import uuid

from django.db import models

from .cluster import Cluster


class Network(models.Model):
    access_kind = "network"

    class Kind(models.TextChoices):
        NAT = "nat"
        ISOLATED = "isolated"
        BRIDGE = "bridge"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="networks")
    name = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.NAT)
    bridge = models.CharField(max_length=15, blank=True)
    subnet = models.CharField(max_length=43, blank=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def host_name(self) -> str:
        """The name of this network on the hosts."""
        return f"berth-{self.id.hex[:8]}"


class Nic(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    vm = models.ForeignKey("virt.VirtualMachine", on_delete=models.CASCADE, related_name="nics")
    network = models.ForeignKey(Network, on_delete=models.PROTECT, related_name="nics")
    mac = models.CharField(max_length=17, unique=True)
    order = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ("order",)

    def __str__(self) -> str:
        return self.mac
