"""Network: what NICs plug into. Nic: one card of a machine; its MAC is unique everywhere."""

import uuid

from django.db import models

from broker.core.text import gettext_noop as N_

from .cluster import Cluster


class Guard(models.TextChoices):
    """What a card may pretend to be. Addresses: its own MAC and IPv4 address only, and no other protocol."""

    ADDRESSES = "addresses", N_("its own MAC and IPv4 address only")
    MAC = "mac", N_("its own MAC address only")
    OFF = "off", N_("anything")


class Network(models.Model):
    """`vlan`: the tag its frames carry, 0 for none; only Open vSwitch can. `guard`: what its cards may send as.
    `mtu`: the most octets of a packet, 0 for the usual; only of bridges that the hosts get with the network.
    """

    access_kind = "network"

    class Kind(models.TextChoices):
        NAT = "nat"
        ISOLATED = "isolated"
        BRIDGE = "bridge"
        OVS = "ovs"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="networks")
    name = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.NAT)
    bridge = models.CharField(max_length=15, blank=True)
    subnet = models.CharField(max_length=43, blank=True)
    vlan = models.PositiveSmallIntegerField(default=0, blank=True)
    mtu = models.PositiveIntegerField("MTU", default=0, blank=True)
    guard = models.CharField(max_length=12, choices=Guard, default=Guard.OFF, blank=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def host_name(self) -> str:
        """The name of this network on the hosts."""
        return f"berth-{self.id.hex[:8]}"


class Nic(models.Model):
    """What the machine has, or (not `plugged`) will have: the MAC is its from the moment it was asked for.

    `in_kib` and `out_kib`: the most KiB a second, 0 for no limit. `guard`: empty as its network's.
    `leased` is the address that the network's DHCP gave it, as the monitor last saw.
    """

    class Model(models.TextChoices):
        VIRTIO = "virtio", "virtio"
        E1000E = "e1000e", "Intel e1000e"
        RTL8139 = "rtl8139", "Realtek RTL8139"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    vm = models.ForeignKey("virt.VirtualMachine", on_delete=models.CASCADE, related_name="nics")
    network = models.ForeignKey(Network, on_delete=models.PROTECT, related_name="nics")
    mac = models.CharField(max_length=17, unique=True)
    order = models.PositiveSmallIntegerField(default=0)
    model = models.CharField(max_length=12, choices=Model, default=Model.VIRTIO)
    connected = models.BooleanField(default=True)
    in_kib = models.PositiveIntegerField(default=0)
    out_kib = models.PositiveIntegerField(default=0)
    guard = models.CharField(max_length=12, choices=Guard, blank=True)
    plugged = models.BooleanField(default=True, editable=False)
    leased = models.CharField(max_length=45, blank=True, editable=False)

    class Meta:
        ordering = ("order", "pk")

    def __str__(self) -> str:
        return self.mac

    @property
    def guarded(self) -> str:
        """What holds for it: its own word, else its network's."""
        return self.guard or self.network.guard
