"""BackupTarget: where backups lie, a storage domain or a directory of its own on the hosts."""

import uuid

from django.db import models

from broker.core import clock
from broker.virt.models import Cluster, Host, StorageDomain


class BackupTarget(models.Model):
    """With `storage`, backups lie among its disks; else in `path`, on `host` alone or, without one, seen by all."""

    access_kind = "backup-target"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="backup_targets")
    name = models.CharField(max_length=64, unique=True)
    storage = models.ForeignKey(
        StorageDomain, null=True, blank=True, on_delete=models.PROTECT, related_name="backup_targets"
    )
    host = models.ForeignKey(Host, null=True, blank=True, on_delete=models.PROTECT, related_name="backup_targets")
    path = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        ordering = ("name",)
        verbose_name = "backup target"

    def __str__(self) -> str:
        return self.name
