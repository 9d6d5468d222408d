"""ImageSource: a server from which images may be fetched."""

import uuid

from django.db import models

from broker.core import clock


class ImageSource(models.Model):
    """By HTTPS, on this `host` and `port` alone, at most `most_gib` an image.

    `private`: it may have an address that is not of the public internet. `ca`: the certificates that sign its own, in
    PEM; empty for those the system trusts.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    host = models.CharField(max_length=253)
    port = models.PositiveIntegerField(default=443)
    private = models.BooleanField(default=False)
    ca = models.TextField(blank=True)
    most_gib = models.PositiveIntegerField(default=50)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ("host", "port")
        verbose_name = "image source"
        constraints = (models.UniqueConstraint(fields=("host", "port"), name="image_source_once"),)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == 443 else f"{host}:{self.port}"
