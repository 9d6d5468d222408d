"""Cluster: hosts among which machines are placed, with the storage and networks they share."""

import uuid

from django.db import models


class Cluster(models.Model):
    """The settings that differ from their defaults: `rules` of placement and balancing (placement/policy.py), `ha` of
    high availability (ha/rules.py), `migration` of live migration (migrating/policies.py).
    """

    access_kind = "cluster"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=64, unique=True)
    description = models.TextField(blank=True)
    rules = models.JSONField(default=dict, blank=True, editable=False)
    ha = models.JSONField(default=dict, blank=True, editable=False)
    migration = models.JSONField(default=dict, blank=True, editable=False)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
