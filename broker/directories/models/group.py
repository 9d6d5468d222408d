"""Group and Membership: people as their directory groups them, and as an administrator adds to that."""

import uuid

from django.db import models
from django.db.models import Q

from .directory import Directory


class Group(models.Model):
    """`external_id` is the group's id in its directory; a local group's is empty."""

    access_kind = "group"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    directory = models.ForeignKey(Directory, on_delete=models.CASCADE, related_name="groups")
    external_id = models.CharField(max_length=255, blank=True)
    name = models.CharField(max_length=255)
    members = models.ManyToManyField(
        "directories.User", related_name="directory_groups", blank=True, through="directories.Membership"
    )

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(fields=("directory", "name"), name="group_name_once_per_directory"),
            models.UniqueConstraint(
                fields=("directory", "external_id"), condition=~Q(external_id=""), name="group_once_per_directory"
            ),
        )

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """One user in one group. The row is there while at least one source says so; a sync writes only its own flag."""

    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey("directories.User", on_delete=models.CASCADE, related_name="memberships")
    by_hand = models.BooleanField(default=True)
    from_directory = models.BooleanField(default=False)

    class Meta:
        db_table = "directories_group_members"
        unique_together = (("group", "user"),)
        constraints = (
            models.CheckConstraint(condition=Q(by_hand=True) | Q(from_directory=True), name="membership_has_a_source"),
        )

    def __str__(self) -> str:
        return f"{self.user_id} in {self.group_id}"
