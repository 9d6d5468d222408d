"""InstanceType: a size of machines under a name."""

import uuid

from django.db import models

from broker.core import clock


class InstanceType(models.Model):
    """What a machine gets that is made by it. A machine remembers which one; what a type is later changes no machine.

    `options`: hardware beyond the size, by the names in machine_options.py (topology, how far it may grow, …).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=64, unique=True)
    description = models.CharField(max_length=200, blank=True)
    vcpus = models.PositiveSmallIntegerField()
    memory_mib = models.PositiveIntegerField()
    options = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ("memory_mib", "vcpus", "name")
        verbose_name = "instance type"

    def __str__(self) -> str:
        return self.name
