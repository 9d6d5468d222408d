"""Group: people as their directory groups them."""

import uuid

from django.db import models

from .directory import Directory


class Group(models.Model):
    access_kind = "group"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    directory = models.ForeignKey(Directory, on_delete=models.CASCADE, related_name="groups")
    external_id = models.CharField(max_length=255, blank=True)
    name = models.CharField(max_length=255)
    members = models.ManyToManyField("directories.User", related_name="directory_groups", blank=True)

    class Meta:
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=("directory", "name"), name="group_name_once_per_directory"),)

    def __str__(self) -> str:
        return self.name
