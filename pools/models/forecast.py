"""PoolForecast: what pools.forecast last made of a pool's past, kept for its page and for reconcile."""

from django.db import models

from broker.core import clock

from .pool import Pool


class PoolForecast(models.Model):
    """`cells`: seven rows of 24 `[expected, samples, basis]`, Monday first, by the hours of the pool's `zone`."""

    pool = models.OneToOneField(Pool, primary_key=True, on_delete=models.CASCADE, related_name="foreseen")
    made_at = models.DateTimeField(default=clock.now)
    zone = models.CharField(max_length=64, default="UTC")
    weeks = models.PositiveSmallIntegerField(default=0)
    cells = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"{self.pool} {self.made_at:%Y-%m-%d %H:%M}"
