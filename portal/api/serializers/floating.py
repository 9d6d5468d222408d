"""Disks that belong to no machine."""

from rest_framework import serializers

from broker.virt.models import FloatingDisk

from .common import RefSerializer


class FloatingDiskSerializer(serializers.ModelSerializer):
    storage = RefSerializer()

    class Meta:
        model = FloatingDisk
        fields = ("id", "name", "storage", "size_bytes", "allocated_bytes", "volume", "generation", "created_at")
