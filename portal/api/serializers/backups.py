"""Backups, where they lie, and when they are made."""

from rest_framework import serializers

from broker.backups.models import Backup, BackupDisk, BackupSchedule, BackupTarget

from .common import RefSerializer


class BackupTargetSerializer(serializers.ModelSerializer):
    cluster = RefSerializer()
    storage = RefSerializer(allow_null=True)
    host = RefSerializer(allow_null=True)

    class Meta:
        model = BackupTarget
        fields = ("id", "name", "cluster", "storage", "host", "path", "created_at")


class BackupScheduleSerializer(serializers.ModelSerializer):
    target = RefSerializer()
    vms = RefSerializer(many=True)
    days = serializers.ListField(child=serializers.IntegerField())

    class Meta:
        model = BackupSchedule
        fields = (
            "id", "name", "target", "enabled", "vms", "days", "at", "zone", "full_every", "keep_last", "keep_daily",
            "keep_weekly", "keep_monthly", "next_run_at", "last_run_at",
        )  # fmt: skip


class BackupDiskSerializer(serializers.ModelSerializer):
    class Meta:
        model = BackupDisk
        fields = ("id", "target", "volume", "capacity_bytes", "size_bytes", "sha256")


class BackupSerializer(serializers.ModelSerializer):
    target = RefSerializer()
    vm = serializers.UUIDField(source="vm_id", allow_null=True, help_text="null once the machine is deleted.")
    builds_on = serializers.UUIDField(source="parent_id", allow_null=True, help_text="What this one builds on.")
    schedule = RefSerializer(allow_null=True)
    disks = BackupDiskSerializer(many=True)

    class Meta:
        model = Backup
        fields = (
            "id", "vm", "vm_name", "target", "schedule", "kind", "builds_on", "state", "live", "quiesced", "reason",
            "size_bytes", "created_at", "finished_at", "verified_at", "error", "disks",
        )  # fmt: skip
