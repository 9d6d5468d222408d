"""PoolWaiter: somebody who waits for a desktop of a pool. The order of the rows is the order of the queue."""

from django.conf import settings
from django.db import models

from broker.core import clock

from .desktop import Desktop
from .meta_pool import MetaPool
from .pool import Pool


class PoolWaiter(models.Model):
    """`seen_at` is when the waiting page or program last asked; who stays silent for long is passed over.

    `desktop` is the one that came, from then until its user has fetched it. `via`: the meta-pool whose rights count.
    """

    pool = models.ForeignKey(Pool, on_delete=models.CASCADE, related_name="waiters")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="waiting")
    desktop = models.ForeignKey(Desktop, null=True, on_delete=models.CASCADE, related_name="+")
    via = models.ForeignKey(MetaPool, null=True, on_delete=models.CASCADE, related_name="waiters")
    joined_at = models.DateTimeField(default=clock.now)
    seen_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ("pk",)
        constraints = (models.UniqueConstraint(fields=("pool", "user"), name="one_place_per_user_and_pool"),)

    def __str__(self) -> str:
        return f"{self.user} @ {self.pool}"
