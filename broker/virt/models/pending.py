"""PendingChange: what is wanted of a machine that its present run cannot have; its next start applies it."""

from django.db import models

from broker.core import clock

from .machine import VirtualMachine


class PendingChange(models.Model):
    """`values`: field → what it will be, `vcpus`, `memory_mib` and options by their names, and under `nics` the
    changes of cards by the card's id. `reasons`: field (or card's id) → why not now, as a message and its params.
    """

    vm = models.OneToOneField(VirtualMachine, on_delete=models.CASCADE, primary_key=True, related_name="pending")
    values = models.JSONField(default=dict)
    reasons = models.JSONField(default=dict)
    asked_by = models.CharField(max_length=255, blank=True)
    asked_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return f"{self.vm_id}: {', '.join(sorted(self.values))}"
