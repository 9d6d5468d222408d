"""Recording: what one session showed, kept as an encrypted file."""

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from broker.core import clock


class Recording(models.Model):
    """`key` is the file's own key, sealed. `why` it ended is empty while it goes on.

    It outlives its user and machine, whose names it keeps; `session` is the id of a session that may be gone.
    """

    access_kind = "recording"

    class Why(models.TextChoices):
        FINISHED = "finished", _("the console was closed")
        LIMIT = "limit", _("it reached its largest size")
        SLOW = "slow", _("the storage was too slow")
        FULL = "full", _("the storage was full")
        FAILED = "failed", _("it could not be written")
        LOST = "lost", _("the gateway stopped unexpectedly")

    class Kind(models.TextChoices):
        VNC = "vnc", _("screen")
        SERIAL = "serial", _("serial line")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    session = models.UUIDField(db_index=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    user_name = models.CharField(max_length=255)
    vm = models.ForeignKey("virt.VirtualMachine", null=True, on_delete=models.SET_NULL, related_name="recordings")
    vm_name = models.CharField(max_length=255)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.VNC)
    key = models.TextField(editable=False)
    began_at = models.DateTimeField(default=clock.now, db_index=True)
    ended_at = models.DateTimeField(null=True)
    size_bytes = models.PositiveBigIntegerField(default=0)
    why = models.CharField(max_length=8, choices=Why, blank=True)

    class Meta:
        ordering = ("-began_at",)

    def __str__(self) -> str:
        return f"{self.user_name} @ {self.vm_name}"

    @property
    def whole(self) -> bool:
        """Whether its file must have an end; without one it was cut off later."""
        return self.why in (self.Why.FINISHED, self.Why.LIMIT, self.Why.SLOW)
