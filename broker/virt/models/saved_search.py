"""SavedSearch: a list of machines as somebody wants to find it again."""

import uuid

from django.db import models

from broker.core import clock


class SavedSearch(models.Model):
    """`text` in the search language, `columns` by the names in saved.py; `shared` with everybody who signs in."""

    access_kind = "search"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey("directories.User", on_delete=models.CASCADE, related_name="searches")
    name = models.CharField(max_length=64)
    text = models.CharField(max_length=500, blank=True)
    columns = models.JSONField(default=list, blank=True)
    shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=("owner", "name"), name="saved_search_once_per_owner"),)
        verbose_name_plural = "saved searches"

    def __str__(self) -> str:
        return self.name
