"""Subscription: which events somebody, or the site, is told of, by which way, and how far that has come.

`cursor` is the position of the last event that was dealt with. `until` is set before a delivery is tried and kept until
it succeeds, so that what is tried again is the same delivery with the same id.
"""

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from broker.core import clock
from broker.events.models import Severity


class Way(models.TextChoices):
    MAIL = "mail", _("Mail")
    WEBHOOK = "webhook", _("Webhook")


class Subscription(models.Model):
    """Without an owner it is the site's. No `kinds`: all; "vm.*" means all that begin so."""

    access_kind = "subscription"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        "directories.User", null=True, blank=True, on_delete=models.CASCADE, related_name="subscriptions"
    )
    name = models.CharField(max_length=64)
    kinds = models.JSONField(default=list, blank=True)
    severity = models.CharField(max_length=8, choices=Severity, default=Severity.WARNING)
    object_kind = models.CharField(max_length=32, blank=True)
    object_id = models.UUIDField(null=True, blank=True)
    way = models.CharField(max_length=8, choices=Way)
    target = models.CharField(max_length=500)
    secret = models.TextField(blank=True, editable=False)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=clock.now)
    cursor = models.BigIntegerField(default=0)
    until = models.BigIntegerField(null=True)
    due_at = models.DateTimeField(default=clock.now)
    failures = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True)
    told_at = models.DateTimeField(null=True)
    test_asked = models.BooleanField(default=False)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
