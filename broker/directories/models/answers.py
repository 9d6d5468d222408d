"""ProviderAnswer: an answer of a provider (SAML) that was received, so that it counts once."""

from django.db import models

from .directory import Directory


class ProviderAnswer(models.Model):
    """`key` is a digest of the assertion's id, `ticket` one of what the browser brings along to have it.

    `told` is what it says of the person, sealed; empty when that was taken. The row stays until the assertion is over.
    """

    key = models.CharField(max_length=64, primary_key=True)
    ticket = models.CharField(max_length=64, unique=True)
    directory = models.ForeignKey(Directory, on_delete=models.CASCADE, related_name="+")
    at = models.DateTimeField()
    until = models.DateTimeField(db_index=True)
    told = models.TextField(blank=True)

    def __str__(self) -> str:
        return self.key[:8]
