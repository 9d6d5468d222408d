"""Cluster: hosts among which machines are placed, with the storage and networks they share."""

import uuid

from django.db import models


class Cluster(models.Model):
    """The settings that differ from their defaults: `rules` of placement and balancing (placement/policy.py), `ha` of
    high availability (ha/rules.py), `migration` of live migration (migrating/policies.py).
    `mac_ranges`: of which addresses its cards get theirs, as macs.py writes them; empty, of QEMU's own.
    """

    access_kind = "cluster"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=64, unique=True)
    description = models.TextField(blank=True)
    rules = models.JSONField(default=dict, blank=True, editable=False)
    ha = models.JSONField(default=dict, blank=True, editable=False)
    migration = models.JSONField(default=dict, blank=True, editable=False)
    mac_ranges = models.TextField(
        "MAC ranges", default="", blank=True,
        help_text="One a line, such as 52:54:00:10:00:00-52:54:00:10:00:ff. Machines keep the addresses they have.",
    )  # fmt: skip

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
