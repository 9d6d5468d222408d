"""Devices of hosts, and what machines have of them."""

from rest_framework import serializers

from broker.virt.models import DeviceUse, HostDevice

from .common import RefSerializer


class HostDeviceSerializer(serializers.ModelSerializer):
    unfit = serializers.CharField(
        help_text="Why no machine can have it: disk, network, bridge, hub, alike, iommu; empty: it can."
    )
    group = serializers.IntegerField(
        allow_null=True, help_text="Of the IOMMU: its devices can only be given away together."
    )

    class Meta:
        model = HostDevice
        fields = ("id", "key", "kind", "address", "vendor", "product", "title", "driver", "group", "unfit", "present")


class DeviceUseSerializer(serializers.ModelSerializer):
    device = RefSerializer()

    class Meta:
        model = DeviceUse
        fields = ("id", "device", "plugged")
