"""Session: one person at one machine's screen, from the first byte to the last."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import ExpressionWrapper, Q, Value
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from broker.connections.rules import ASSUMED, VOUCHED
from broker.connections.states import SESSION, SessionState


class SessionQuerySet(models.QuerySet["Session"]):
    def live(self) -> "SessionQuerySet":
        return self.filter(state__in=SESSION.sets["live"])

    def carried(self) -> "SessionQuerySet":
        """Those that count towards a limit: for which a gateway vouched lately, or that none has to vouch for.

        One whose gateway died is live for a while more, and must not keep its person from coming back.
        """
        lately = ExpressionWrapper(Now() - Value(VOUCHED), output_field=models.DateTimeField())
        return self.live().filter(Q(last_seen_at__gt=lately) | Q(via=ASSUMED))

    def own(self) -> "SessionQuerySet":
        """Of people at screens of their own, not of those who look on or help."""
        return self.filter(purpose=Session.Purpose.OWN)


class Session(models.Model):
    """`gateway` is the process that carries it and vouches for it by `last_seen_at`.

    `purpose` says by which right it is there; `help` or `share` is then the consent behind it. `web_session` is a hash
    of the sign-in it was opened with: another one is another device. `last_input_at` is the last key or pointer.

    `close_reason` is set when it is told to end, and kept as the reason when it has ended. `bytes_up` are
    those the user sent. Both counts are written at the end.
    """

    access_kind = "session"

    class Purpose(models.TextChoices):
        OWN = "own", _("own screen")
        LOOK = "look", _("looks on")
        HELP = "help", _("helps")
        SHARE = "share", _("by a shared link")
        SERIAL = "serial", _("at the serial line")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="console_sessions")
    vm = models.ForeignKey("virt.VirtualMachine", on_delete=models.CASCADE, related_name="console_sessions")
    kind = models.CharField(max_length=8, default="vnc")
    via = models.CharField(max_length=8, default="browser")
    view_only = models.BooleanField(default=False)
    purpose = models.CharField(max_length=8, choices=Purpose, default=Purpose.OWN)
    help = models.ForeignKey("connections.Help", null=True, on_delete=models.SET_NULL, related_name="sessions")
    share = models.ForeignKey("connections.Share", null=True, on_delete=models.SET_NULL, related_name="sessions")
    web_session = models.CharField(max_length=64, blank=True, editable=False)
    last_input_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=8, default=SessionState.OPEN, choices=[(s, s) for s in SessionState])
    opened_at = models.DateTimeField(db_default=Now())
    last_seen_at = models.DateTimeField(db_default=Now(), db_index=True)
    closed_at = models.DateTimeField(null=True)
    close_reason = models.CharField(max_length=32, blank=True)
    address = models.GenericIPAddressField(null=True)
    gateway = models.CharField(max_length=64)
    boot_id = models.CharField(max_length=64, blank=True)
    bytes_up = models.PositiveBigIntegerField(default=0)
    bytes_down = models.PositiveBigIntegerField(default=0)

    objects = SessionQuerySet.as_manager()

    class Meta:
        ordering = ("-opened_at",)
        indexes = (models.Index(fields=("user", "state")), models.Index(fields=("vm", "state")))

    def __str__(self) -> str:
        return f"{self.user} @ {self.vm}"
