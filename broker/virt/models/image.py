"""Image: a CD or a disk that somebody brought along, in the library on a storage."""

import uuid

from django.db import models

from broker.core import clock
from broker.virt.states import ImageState

from .storage import StorageDomain


class Image(models.Model):
    """`size_bytes`: of the file that is sent, of which `received_bytes` are here (uploads.py); `sha256`: what it must
    have, empty when nobody said so; `arrived_sha256`: what it has, where that was computed while it came.
    `capacity_bytes`: what a guest sees, known when it is ready.

    `proposal`: what an appliance says of the machine it is for: vcpus, memory_mib, cards, firmware.
    `url`: where it is fetched from, empty for an upload.
    `format` is what the uploaded file is said to be, empty until it was looked at; on the storage a CD is kept as it
    is and a disk as qcow2. `touched_at`: when bytes last came.
    """

    access_kind = "image"

    class Kind(models.TextChoices):
        ISO = "iso", "CD"
        DISK = "disk"

    class Format(models.TextChoices):
        ISO = "iso", "ISO 9660"
        QCOW2 = "qcow2"
        RAW = "raw"
        VMDK = "vmdk"
        VDI = "vdi"
        OVA = "ova", "OVA"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=64, unique=True)
    description = models.TextField(blank=True)
    kind = models.CharField(max_length=8, choices=Kind)
    format = models.CharField(max_length=8, choices=Format, blank=True)
    storage = models.ForeignKey(StorageDomain, on_delete=models.PROTECT, related_name="images")
    state = models.CharField(max_length=12, default=ImageState.UPLOADING, choices=[(s, s) for s in ImageState])
    volume = models.CharField(max_length=128)
    size_bytes = models.PositiveBigIntegerField()
    received_bytes = models.PositiveBigIntegerField(default=0, editable=False)
    capacity_bytes = models.PositiveBigIntegerField(default=0, editable=False)
    sha256 = models.CharField(max_length=64, blank=True)
    arrived_sha256 = models.CharField(max_length=64, blank=True, editable=False)
    proposal = models.JSONField(default=dict, blank=True, editable=False)
    url = models.CharField(max_length=1000, blank=True, editable=False)
    maker = models.ForeignKey(
        "directories.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="images"
    )
    created_at = models.DateTimeField(default=clock.now)
    touched_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
