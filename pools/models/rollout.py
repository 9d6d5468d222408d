"""Rollout: that a pool's desktops go over to another template version, a few at a time."""

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from broker.core import clock
from broker.virt.models import TemplateVersion
from pools.states import RolloutState

from .pool import Pool

AT_ONCE, MOST_AT_ONCE = 5, 500


class Rollout(models.Model):
    """At most one of a pool is open. How far it is, is read from the desktops.

    `version` is what they go to, `previous` what most of them were on when it began, where a roll back leads.
    `numbers` keeps the numbers of both, for when a version has been deleted. `at_once`: how many desktops may be
    rebuilt at a time. `going_since`: since when it has been going on without a stop. `cause`: why it was stopped, as
    BerthError.as_dict() gives it, empty when a person stopped it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    pool = models.ForeignKey(Pool, on_delete=models.CASCADE, related_name="rollouts")
    version = models.ForeignKey(TemplateVersion, null=True, on_delete=models.SET_NULL, related_name="rollouts_to")
    previous = models.ForeignKey(TemplateVersion, null=True, on_delete=models.SET_NULL, related_name="rollouts_from")
    numbers = models.JSONField(default=list)
    state = models.CharField(
        max_length=12, default=RolloutState.RUNNING, choices=[(s, s) for s in RolloutState], editable=False
    )
    at_once = models.PositiveIntegerField(
        default=AT_ONCE, validators=[MinValueValidator(1), MaxValueValidator(MOST_AT_ONCE)]
    )
    cause = models.JSONField(null=True, editable=False)
    started_at = models.DateTimeField(default=clock.now)
    going_since = models.DateTimeField(default=clock.now)
    ended_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ("-started_at",)
        constraints = (
            models.UniqueConstraint(
                fields=("pool",), condition=Q(state__in=("running", "paused")), name="one_open_rollout_per_pool"
            ),
        )

    def __str__(self) -> str:
        return f"{self.pool} v{self.numbers[0]} → v{self.numbers[1]}" if len(self.numbers) == 2 else str(self.pool)
