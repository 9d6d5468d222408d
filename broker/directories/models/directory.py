"""Directory: a place users come from, of some kind, asked in `order`."""

import uuid

from django.db import models


class Directory(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=32)
    enabled = models.BooleanField(default=True)
    order = models.PositiveSmallIntegerField(default=100)
    config = models.JSONField(default=dict)

    class Meta:
        ordering = ("order", "name")
        verbose_name_plural = "directories"

    def __str__(self) -> str:
        return self.name
