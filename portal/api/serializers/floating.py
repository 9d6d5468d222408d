"""Disks that belong to no machine, and what machines have of those that are shared."""

from rest_framework import serializers

from broker.virt.models import DiskShare, FloatingDisk

from .common import RefSerializer


class FloatingDiskSerializer(serializers.ModelSerializer):
    storage = RefSerializer()
    owner = RefSerializer(allow_null=True)
    format = serializers.SerializerMethodField(help_text="raw while it is shared, else qcow2.")

    class Meta:
        model = FloatingDisk
        fields = (
            "id", "name", "storage", "owner", "shared", "format", "size_bytes", "allocated_bytes", "volume",
            "generation", "created_at",
        )  # fmt: skip

    def get_format(self, disk: FloatingDisk) -> str:
        return disk.format


class DiskShareSerializer(serializers.ModelSerializer):
    disk = RefSerializer()

    class Meta:
        model = DiskShare
        fields = ("id", "disk", "target", "read_only", "plugged")
