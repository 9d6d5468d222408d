"""Message: what an administrator tells the person at a machine's screen."""

import uuid

from django.conf import settings
from django.db import models

from broker.core import clock


class Message(models.Model):
    """Shown in the console page until `read_at`; `by` is a name, for who wrote it may be gone by then."""

    access_kind = "message"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    vm = models.ForeignKey("virt.VirtualMachine", on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    by = models.CharField(max_length=255)
    text = models.CharField(max_length=500)
    sent_at = models.DateTimeField(default=clock.now)
    read_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("sent_at",)
        indexes = (models.Index(fields=("vm", "user", "read_at")),)

    def __str__(self) -> str:
        return self.text
