"""FloatingDisk: a disk that belongs to no machine. It keeps its id when it becomes a machine's Disk, and back.

A shared one stays what it is, and any number of machines have a DiskShare of it.
"""

import uuid

from django.db import models

from broker.core import clock

from .disk import Format, Wipe, image_format
from .machine import VirtualMachine
from .storage import StorageDomain


class FloatingDisk(models.Model):
    """`generation`, `wipe_after_delete` as in Disk. `owner`: who took it out of a machine or made it, pays for it, and
    may do with it what they like. `shared`: its image is raw, since the notes of another format would be written by
    several at once.
    """

    access_kind = "disk"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=128)
    storage = models.ForeignKey(StorageDomain, on_delete=models.PROTECT, related_name="floating_disks")
    generation = models.PositiveIntegerField(default=0, editable=False)
    volume = models.CharField(max_length=128)
    shared = models.BooleanField(default=False, editable=False)
    size_bytes = models.PositiveBigIntegerField(default=0)
    wipe_after_delete = models.CharField(max_length=8, choices=Wipe, default=Wipe.STORAGE)
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

    @property
    def format(self) -> Format:
        return "raw" if self.shared else image_format(self.id, self.volume)

    def volume_name(self, generation: int, *, shared: bool) -> str:
        """As of Disk; a raw image says so by its name."""
        return f"{self.id}.{generation}.{'raw' if shared else 'qcow2'}"


class DiskShare(models.Model):
    """What a machine has of a shared disk, or (not `plugged`) will have."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    vm = models.ForeignKey(VirtualMachine, on_delete=models.CASCADE, related_name="disk_shares")
    disk = models.ForeignKey(FloatingDisk, on_delete=models.PROTECT, related_name="shares")
    target = models.CharField(max_length=8)
    read_only = models.BooleanField(default=False)
    plugged = models.BooleanField(default=True, editable=False)

    class Meta:
        verbose_name = "machine"
        ordering = ("target",)
        constraints = (
            models.UniqueConstraint(fields=("vm", "target"), name="share_target_once"),
            models.UniqueConstraint(fields=("vm", "disk"), name="share_once"),
        )

    def __str__(self) -> str:
        return self.vm.name
