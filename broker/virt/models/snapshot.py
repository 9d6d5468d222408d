"""Snapshot: disks of a machine as they were, perhaps with its memory. The row is there when QEMU has taken it.

Each frozen image is a SnapshotDisk; whatever was written since lies in a newer image on top of it.
"""

import uuid

from django.db import models
from django.db.models import Q

from broker.core import clock

from .disk import Disk
from .machine import VirtualMachine
from .storage import StorageDomain


class Snapshot(models.Model):
    """`current`: what the machine has now was written on top of this one. `memory`: the volume with its memory."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    vm = models.ForeignKey(VirtualMachine, on_delete=models.CASCADE, related_name="snapshots")
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="children")
    name = models.CharField(max_length=64)
    description = models.TextField(blank=True)
    current = models.BooleanField(default=False, editable=False)
    running = models.BooleanField(default=False, editable=False)
    quiesced = models.BooleanField(default=False, editable=False)
    memory = models.CharField(max_length=128, blank=True, editable=False)
    memory_storage = models.ForeignKey(
        StorageDomain, null=True, blank=True, editable=False, on_delete=models.PROTECT, related_name="memories"
    )
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ("created_at", "pk")
        constraints = (
            models.UniqueConstraint(fields=("vm", "name"), name="snapshot_name_once"),
            models.UniqueConstraint(fields=("vm",), condition=Q(current=True), name="snapshot_current_once"),
        )

    def __str__(self) -> str:
        return self.name


class SnapshotDisk(models.Model):
    """One frozen image; `below` as in Disk."""

    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="disks")
    disk = models.ForeignKey(Disk, on_delete=models.CASCADE, related_name="frozen")
    storage = models.ForeignKey(StorageDomain, on_delete=models.PROTECT, related_name="frozen")
    volume = models.CharField(max_length=128)
    below = models.CharField(max_length=128, blank=True)
    size_bytes = models.PositiveBigIntegerField(default=0)

    class Meta:
        ordering = ("disk__order",)
        constraints = (
            models.UniqueConstraint(fields=("snapshot", "disk"), name="snapshot_disk_once"),
            models.UniqueConstraint(fields=("storage", "volume"), name="frozen_volume_once_per_storage"),
        )

    def __str__(self) -> str:
        return self.volume


class Preview(models.Model):
    """The machine tries out a snapshot; what it had before is set aside until somebody says which of both stays."""

    vm = models.OneToOneField(VirtualMachine, on_delete=models.CASCADE, related_name="preview")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="previews")
    was_current = models.ForeignKey(Snapshot, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return str(self.snapshot)


class SetAside(models.Model):
    """The image that a disk had before the preview; `below` as in Disk."""

    preview = models.ForeignKey(Preview, on_delete=models.CASCADE, related_name="disks")
    disk = models.ForeignKey(Disk, on_delete=models.CASCADE, related_name="set_aside")
    storage = models.ForeignKey(StorageDomain, on_delete=models.PROTECT, related_name="set_aside")
    volume = models.CharField(max_length=128)
    below = models.CharField(max_length=128, blank=True)
    size_bytes = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("preview", "disk"), name="set_aside_disk_once"),)

    def __str__(self) -> str:
        return self.volume
