"""Disks of machines and their snapshots."""

from rest_framework import serializers

from broker.virt.models import Disk, Snapshot, SnapshotDisk

from .common import RefSerializer


class VmDiskSerializer(serializers.ModelSerializer):
    storage = RefSerializer()
    limits = serializers.DictField(
        child=serializers.IntegerField(), allow_null=True, help_text="Bytes and operations a second; 0: no limit."
    )

    format = serializers.CharField(help_text="Of its image: qcow2 or raw.")

    class Meta:
        model = Disk
        fields = (
            "id", "target", "storage", "format", "size_bytes", "allocated_bytes", "volume", "below", "generation",
            "limits", "read_only", "discard", "detect_zeroes", "wipe_after_delete",
        )  # fmt: skip


class FrozenDiskSerializer(serializers.ModelSerializer):
    class Meta:
        model = SnapshotDisk
        fields = ("disk_id", "volume", "below", "size_bytes")


class SnapshotSerializer(serializers.ModelSerializer):
    parent = RefSerializer(allow_null=True)
    memory = serializers.SerializerMethodField(help_text="Whether the memory was kept, too.")
    previewed = serializers.SerializerMethodField(help_text="Whether the machine looks at it until told which to keep.")
    disks = FrozenDiskSerializer(many=True)

    class Meta:
        model = Snapshot
        fields = (
            "id", "name", "description", "parent", "current", "running", "quiesced", "memory", "previewed", "disks",
            "created_at",
        )  # fmt: skip

    def get_memory(self, snapshot: Snapshot) -> bool:
        return bool(snapshot.memory)

    def get_previewed(self, snapshot: Snapshot) -> bool:
        return bool(snapshot.previews.all())
