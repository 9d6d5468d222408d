"""Batch: one action for several machines, with what came of it for each."""

import uuid

from django.db import models

from broker.core import clock


class Batch(models.Model):
    """`results`: machine id → name, state (waiting, asked, done, refused, failed), job, and the error that was told.

    Each machine is asked for as its owner would, by the token they asked by (`scope`: Scope.as_dict(), None without
    one that is narrowed), so rights, quotas and states are looked at one by one.
    """

    access_kind = "batch"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    verb = models.CharField(max_length=32)
    owner = models.ForeignKey("directories.User", on_delete=models.CASCADE, related_name="+")
    results = models.JSONField(default=dict)
    token = models.CharField(max_length=64, blank=True, editable=False)
    scope = models.JSONField(null=True, editable=False)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ("-created_at",)
        verbose_name_plural = "batches"

    def __str__(self) -> str:
        return f"{self.verb} ({len(self.results)})"
