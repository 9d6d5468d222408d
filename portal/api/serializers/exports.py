"""Disks as files to be downloaded."""

from rest_framework import serializers

from broker.virt.models import DiskExport


class DiskExportSerializer(serializers.ModelSerializer):
    class Meta:
        model = DiskExport
        fields = ("id", "name", "size_bytes", "sha256", "created_at", "ready_at")
