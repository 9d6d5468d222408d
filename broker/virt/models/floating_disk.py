"""FloatingDisk: a disk that belongs to no machine. It keeps its id when it becomes a machine's Disk, and back."""

import uuid

from django.db import models

from broker.core import clock

from .storage import StorageDomain


class FloatingDisk(models.Model):
    """`generation` as in Disk. `owner`: who took it out of a machine or made it, and may do with it what they like."""

    access_kind = "disk"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=128)
    storage = models.ForeignKey(StorageDomain, on_delete=models.PROTECT, related_name="floating_disks")
    generation = models.PositiveIntegerField(default=0, editable=False)
    volume = models.CharField(max_length=128)
    size_bytes = models.PositiveBigIntegerField(default=0)
    allocated_bytes = models.PositiveBigIntegerField(default=0, editable=False)
    owner = models.ForeignKey(
        "directories.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="floating_disks"
    )
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ("name", "pk")
        constraints = (models.UniqueConstraint(fields=("storage", "volume"), name="floating_volume_once_per_storage"),)

    def __str__(self) -> str:
        return self.name
