"""DiskExport: a disk, or a machine as an OVA, as a file to be downloaded, whole of itself, for a day."""

import uuid

from django.db import models

from broker.core import clock

from .machine import VirtualMachine


class DiskExport(models.Model):
    """`ready_at`: since when the file is there (exports.py), with `size_bytes` and `sha256`; before, a job makes it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    vm = models.ForeignKey(VirtualMachine, on_delete=models.CASCADE, related_name="exports")
    name = models.CharField(max_length=200)
    size_bytes = models.PositiveBigIntegerField(default=0, editable=False)
    sha256 = models.CharField(max_length=64, blank=True, editable=False)
    maker = models.ForeignKey(
        "directories.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="exports"
    )
    created_at = models.DateTimeField(default=clock.now)
    ready_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ("-created_at", "pk")

    def __str__(self) -> str:
        return self.name
