"""TryCount and KnownPlace: what the throttle of sign-ins remembers. Keys are digests: neither names nor addresses."""

from django.db import models


class TryCount(models.Model):
    """A bucket of tries. Times are seconds since 1970, so that one arithmetic serves every database."""

    key = models.CharField(max_length=64, primary_key=True)
    level = models.FloatField(default=0)
    at = models.FloatField()
    open_at = models.FloatField(default=0)
    gone_at = models.FloatField(default=0, db_index=True)
    told_at = models.FloatField(default=0)

    def __str__(self) -> str:
        return self.key[:8]


class KnownPlace(models.Model):
    """A browser or a network from which somebody has signed in with a certain name."""

    key = models.CharField(max_length=64, primary_key=True)
    seen_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.key[:8]
