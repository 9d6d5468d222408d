"""Assignment: that a user had a desktop, from when to when. The open one mirrors Desktop.holder."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from broker.core import clock

from .desktop import Desktop
from .pool import Pool


class Assignment(models.Model):
    """`asked_at`: when the user's request for a desktop arrived; empty for one that was given without being asked."""

    desktop = models.ForeignKey(Desktop, null=True, on_delete=models.SET_NULL, related_name="assignments")
    desktop_name = models.CharField(max_length=64)
    pool = models.ForeignKey(Pool, null=True, on_delete=models.SET_NULL, related_name="assignments")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="assignments")
    asked_at = models.DateTimeField(null=True)
    since = models.DateTimeField(default=clock.now)
    until = models.DateTimeField(null=True)
    reason = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ("-since",)
        constraints = (
            models.UniqueConstraint(
                fields=("desktop",), condition=Q(until__isnull=True), name="one_open_assignment_per_desktop"
            ),
        )
        indexes = (models.Index(fields=("user", "until")),)

    def __str__(self) -> str:
        return f"{self.desktop_name} → {self.user}"
