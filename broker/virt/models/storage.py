"""StorageDomain: where disks live. Capacity is what was last observed.

With a `host`, the directory is on that host alone, and so are the machines whose disks lie there; without
one, all hosts of the cluster see the same files under `path`. For NFS, `path` is where each host mounts
`export` of `server`, by `mount` (nfs_options.py). For iSCSI, `server` are portals with a comma between them, `export`
is the target, `luns` those that are used (none: all), and `path` no directory but how drivers call it.
"""

import uuid

from django.core.validators import MaxValueValidator
from django.db import models

from broker.virt.states import StorageState

from .cluster import Cluster
from .host import Host


class StorageDomain(models.Model):
    """`state` is what an admin wants of it; `error` why a host that should see it does not, empty when all is well.

    `noted` is the digest of what was last noted down on the storage itself (storage_notes.py), empty before Berth
    read what is there; `found` what it then read, `held_by` another Berth that says the storage is its own.
    Below `warning_percent` of free space people are warned, below `critical_percent` nothing new is put on it.
    `wipe_after_delete`: of disks that do not say it themselves, and of all else that is deleted there (wiping.py).
    """

    access_kind = "storage"

    class Kind(models.TextChoices):
        DIR = "dir"
        NFS = "nfs", "NFS"
        ISCSI = "iscsi", "iSCSI"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="storage_domains")
    host = models.ForeignKey(Host, null=True, blank=True, on_delete=models.PROTECT, related_name="storage_domains")
    name = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.DIR)
    path = models.CharField(max_length=255)
    server = models.CharField(max_length=255, blank=True)
    export = models.CharField(max_length=255, blank=True)
    version = models.CharField(max_length=4, blank=True)
    mount = models.JSONField(default=dict, blank=True)
    luns = models.JSONField(default=list, blank=True)
    user = models.CharField(max_length=223, blank=True)
    secret = models.TextField(blank=True, editable=False)
    state = models.CharField(max_length=16, default=StorageState.ACTIVE, choices=[(s, s) for s in StorageState])
    capacity_bytes = models.PositiveBigIntegerField(default=0, editable=False)
    available_bytes = models.PositiveBigIntegerField(default=0, editable=False)
    warning_percent = models.PositiveSmallIntegerField(default=10, validators=[MaxValueValidator(100)])
    critical_percent = models.PositiveSmallIntegerField(default=5, validators=[MaxValueValidator(100)])
    wipe_after_delete = models.BooleanField(default=False)
    observed_at = models.DateTimeField(null=True, editable=False)
    error = models.TextField(blank=True, editable=False)
    held_by = models.CharField(max_length=32, blank=True, editable=False)
    found = models.JSONField(default=dict, editable=False)
    noted = models.CharField(max_length=64, blank=True, editable=False)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def mounted(self) -> bool:
        """Whether a host has it by connecting to a server."""
        return self.kind in (self.Kind.NFS, self.Kind.ISCSI)

    @property
    def level(self) -> str:
        """How full it is: "ok", "warning" or "critical"; one that nobody measured is ok."""
        if not self.capacity_bytes or self.available_bytes > self.free_at("warning"):
            return "ok"
        return "warning" if self.available_bytes > self.free_at("critical") else "critical"

    def free_at(self, level: str) -> int:
        """So many free bytes, or fewer, are that level."""
        percent = self.critical_percent if level == "critical" else self.warning_percent
        return self.capacity_bytes * percent // 100
