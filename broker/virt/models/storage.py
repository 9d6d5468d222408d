"""StorageDomain: where disks live. Capacity is what was last observed.

With a `host`, the directory is on that host alone, and so are the machines whose disks lie there; without
one, all hosts of the cluster see the same files under `path`.
"""

import uuid

from django.db import models

from .cluster import Cluster
from .host import Host


class StorageDomain(models.Model):
    access_kind = "storage"

    class Kind(models.TextChoices):
        DIR = "dir"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="storage_domains")
    host = models.ForeignKey(Host, null=True, blank=True, on_delete=models.PROTECT, related_name="storage_domains")
    name = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.DIR)
    path = models.CharField(max_length=255)
    capacity_bytes = models.PositiveBigIntegerField(default=0, editable=False)
    available_bytes = models.PositiveBigIntegerField(default=0, editable=False)
    observed_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
