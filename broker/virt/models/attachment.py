"""StorageAttachment: what one host says of a storage that several hosts see."""

from django.db import models

from .host import Host
from .storage import StorageDomain


class StorageAttachment(models.Model):
    """Written by the monitor alone. `error`: why the host does not see the storage, empty when it does.

    A host without a row was not asked yet, or has not been made to use the storage so far.
    """

    storage = models.ForeignKey(StorageDomain, on_delete=models.CASCADE, related_name="attachments")
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="attachments")
    error = models.TextField(blank=True)
    observed_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("storage", "host"), name="attachment_once"),)

    def __str__(self) -> str:
        return f"{self.storage_id} {self.host_id}"
