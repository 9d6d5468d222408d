"""AffinityGroup: machines that belong together or apart, or on certain hosts."""

import uuid

from django.db import models

from .cluster import Cluster
from .host import Host
from .machine import VirtualMachine


class AffinityGroup(models.Model):
    """Members are named, or found by a label; with `same_owner` the rule holds among the machines of each owner.

    A hard rule is a demand: no host that breaks it is chosen. A soft one is a wish. "" says nothing of that.
    """

    access_kind = "affinity-group"

    class Rule(models.TextChoices):
        NOTHING = ""
        TOGETHER = "together"
        APART = "apart"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="affinity_groups")
    name = models.CharField(max_length=64, unique=True)
    machines = models.ManyToManyField(VirtualMachine, blank=True, related_name="affinity_groups")
    hosts = models.ManyToManyField(Host, blank=True, related_name="affinity_groups")
    machine_label = models.CharField(max_length=64, blank=True)
    host_label = models.CharField(max_length=64, blank=True)
    same_owner = models.BooleanField(default=False)
    machine_rule = models.CharField(max_length=8, choices=Rule, default=Rule.NOTHING, blank=True)
    machine_hard = models.BooleanField(default=True)
    host_rule = models.CharField(max_length=8, choices=Rule, default=Rule.NOTHING, blank=True)
    host_hard = models.BooleanField(default=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
