"""Share: a link with which another signed-in person may see, or work in, the screen of a machine for a while."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from broker.core import clock


class ShareQuerySet(models.QuerySet["Share"]):
    def good(self) -> "ShareQuerySet":
        """Neither ended nor over."""
        return self.filter(Q(ended_at__isnull=True), expires_at__gt=clock.now())


class Share(models.Model):
    """Of the link's secret only a hash is kept. `guests` are those who have opened the link.

    `everybody`: people without an account may, too, as long as the machine's policy has it so.
    """

    access_kind = "share"

    class Level(models.TextChoices):
        VIEW = "view", _("see the screen")
        CONTROL = "control", _("work in it")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    secret_hash = models.CharField(max_length=64, unique=True, editable=False)
    vm = models.ForeignKey("virt.VirtualMachine", on_delete=models.CASCADE, related_name="shares")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    guests = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="+")
    everybody = models.BooleanField(default=False)
    level = models.CharField(max_length=8, choices=Level, default=Level.VIEW)
    created_at = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    objects = ShareQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        indexes = (models.Index(fields=("vm", "ended_at")),)

    def __str__(self) -> str:
        return f"{self.owner} → {self.vm}"
