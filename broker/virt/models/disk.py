"""Disk: one image of a machine, qcow2 or raw.

`generation` grows with each new image put in, and with it the name of the volume.

`limits`: of what its guest gets of it, by the names of DiskLimits; None: nobody said anything.
`read_only`: its guest cannot write to it. `discard`, `detect_zeroes`: empty, nobody said anything.
`wipe_after_delete`: overwrite its images before they are deleted; or leave that to its storage (wiping.py).
`below`: the volume of the same storage that it lies on because a snapshot froze that one; empty without a snapshot.
"""

import uuid
from typing import Literal

from django.db import models

from broker.core.text import gettext_noop as N_

from .machine import VirtualMachine
from .storage import StorageDomain

Format = Literal["qcow2", "raw"]


class Wipe(models.TextChoices):
    STORAGE = "storage", N_("as its storage says")
    ON = "on", N_("overwritten with zeroes")
    OFF = "off", N_("not overwritten")


def image_format(disk: uuid.UUID | str, volume: str) -> Format:
    """What an image of the disk is, by Berth's own word: a raw one it wrote says so by its name.

    Its first bytes say nothing: a guest writes them. What somebody else named is taken for what it was looked at as.
    """
    return "raw" if volume.startswith(f"{disk}.") and volume.endswith(".raw") else "qcow2"


class Disk(models.Model):
    class Discard(models.TextChoices):
        UNMAP = "unmap", N_("gives space back")
        IGNORE = "ignore", N_("is ignored")

    class Zeroes(models.TextChoices):
        OFF = "off", N_("written as they are")
        ON = "on", N_("noted, not written")
        UNMAP = "unmap", N_("noted, and give space back")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    vm = models.ForeignKey(VirtualMachine, on_delete=models.CASCADE, related_name="disks")
    storage = models.ForeignKey(StorageDomain, on_delete=models.PROTECT, related_name="disks")
    target = models.CharField(max_length=8, default="vda")
    order = models.PositiveSmallIntegerField(default=0)
    generation = models.PositiveIntegerField(default=0)
    volume = models.CharField(max_length=128)
    below = models.CharField(max_length=128, blank=True, editable=False)
    path = models.CharField(max_length=512, blank=True, editable=False)
    size_bytes = models.PositiveBigIntegerField(default=0)
    limits = models.JSONField(null=True, blank=True, default=None)
    read_only = models.BooleanField(default=False)
    discard = models.CharField(max_length=8, choices=Discard, blank=True)
    detect_zeroes = models.CharField(max_length=8, choices=Zeroes, blank=True)
    wipe_after_delete = models.CharField(max_length=8, choices=Wipe, default=Wipe.STORAGE)
    allocated_bytes = models.PositiveBigIntegerField(default=0, editable=False)

    class Meta:
        ordering = ("order",)
        constraints = (
            models.UniqueConstraint(fields=("vm", "target"), name="disk_target_once"),
            models.UniqueConstraint(fields=("storage", "volume"), name="volume_once_per_storage"),
        )

    def __str__(self) -> str:
        return self.volume

    @property
    def format(self) -> Format:
        return image_format(self.id, self.volume)

    def volume_name(self, generation: int, kind: Format = "qcow2") -> str:
        """The file name of this disk in `generation`; unique for ever, so a step can probe for it."""
        return f"{self.id}.{generation}.{kind}"
