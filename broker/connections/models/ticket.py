"""ConsoleTicket: lets one browser, or one native client (`via`), open one console once, within seconds.

The secret itself is nowhere stored.
"""

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class ConsoleTicket(models.Model):
    """Bound to the user, their sign-in (`web_session`, a hash), the machine and the machine's present run.

    The database's clock says when it expires. `tick` is the issuing computer's uptime in seconds and `computer`
    names that computer's run: there, a wall clock that is set back does not bring the ticket back to life. `recorded`:
    whoever asked for it was told that the screen is recorded. `login` is for the desktop's own remote desktop, sealed,
    and gone as soon as the ticket is used.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    secret_hash = models.CharField(max_length=64, unique=True, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    web_session = models.CharField(max_length=64, editable=False)
    vm = models.ForeignKey("virt.VirtualMachine", on_delete=models.CASCADE, related_name="+")
    boot_id = models.CharField(max_length=64, blank=True)
    kind = models.CharField(max_length=8, default="vnc")
    via = models.CharField(max_length=8, default="browser")
    view_only = models.BooleanField(default=False)
    recorded = models.BooleanField(default=False)
    take_over = models.BooleanField(default=False)
    help = models.ForeignKey("connections.Help", null=True, on_delete=models.CASCADE, related_name="+")
    share = models.ForeignKey("connections.Share", null=True, on_delete=models.CASCADE, related_name="+")
    address = models.GenericIPAddressField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)
    tick = models.FloatField()
    computer = models.CharField(max_length=64)
    login = models.TextField(blank=True, editable=False)

    class Meta:
        indexes = (models.Index(fields=("user", "used_at")),)

    def __str__(self) -> str:
        return f"ticket for {self.vm_id}"
