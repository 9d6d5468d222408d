"""Help: somebody asks to look at, or to work in, the screen another person has open; and the answer."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from broker.connections.states import HelpState
from broker.core import clock


class Help(models.Model):
    """`asked_of` is who sits at the machine and answers. Allowed, it holds until one of the two ends it."""

    access_kind = "help"

    class Level(models.TextChoices):
        LOOK = "look", _("looks on")
        HELP = "help", _("works with you")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    vm = models.ForeignKey("virt.VirtualMachine", on_delete=models.CASCADE, related_name="helps")
    helper = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    asked_of = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    level = models.CharField(max_length=8, choices=Level, default=Level.LOOK)
    state = models.CharField(max_length=8, default=HelpState.ASKED, choices=[(s, s) for s in HelpState])
    asked_at = models.DateTimeField(default=clock.now)
    answered_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-asked_at",)
        indexes = (models.Index(fields=("vm", "state")),)
        constraints = (
            models.UniqueConstraint(
                fields=("vm", "helper"), condition=Q(state__in=("asked", "allowed")), name="one_help_at_a_time"
            ),
        )

    def __str__(self) -> str:
        return f"{self.helper} → {self.vm}"
