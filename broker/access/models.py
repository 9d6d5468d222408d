"""Role: a set of verbs. Grant: a user or group has a role on an object, or on everything."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from broker.core import clock


class Role(models.Model):
    """`verbs` are "<kind>.<verb>"; "*" and "vm.*", "*.view" stand for many."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.SlugField(unique=True)
    title = models.CharField(max_length=128)
    builtin = models.BooleanField(default=False, editable=False)
    verbs = models.JSONField(default=list)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.title


class Grant(models.Model):
    """Exactly one of `user` and `group`. `object_kind` "system" has no object and covers all."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey("directories.User", null=True, blank=True, on_delete=models.CASCADE, related_name="grants")
    group = models.ForeignKey(
        "directories.Group", null=True, blank=True, on_delete=models.CASCADE, related_name="grants"
    )
    role = models.ForeignKey(Role, on_delete=models.PROTECT, related_name="grants")
    object_kind = models.CharField(max_length=32, default="system")
    object_id = models.UUIDField(null=True, blank=True)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(user__isnull=True, group__isnull=False) | Q(user__isnull=False, group__isnull=True),
                name="grant_to_user_or_group",
                violation_error_message=_("Give the grant to a user or to a group, not to both."),
            ),
            models.CheckConstraint(
                condition=Q(object_kind="system", object_id__isnull=True)
                | (~Q(object_kind="system") & Q(object_id__isnull=False)),
                name="grant_on_system_or_object",
                violation_error_message=_("A grant is on the whole system, or on one object."),
            ),
            *(
                # Four partial constraints: NULLs are distinct to a plain one, and SQLite cannot say otherwise.
                models.UniqueConstraint(
                    fields=(who, "role", *(("object_kind", "object_id") if on_object else ())),
                    condition=Q(**{f"{who}__isnull": False, "object_id__isnull": not on_object}),
                    name=f"grant_once_{who}_{'object' if on_object else 'system'}",
                    violation_error_message=_("This is granted already."),
                )
                for who in ("user", "group")
                for on_object in (True, False)
            ),
        )  # fmt: skip
        indexes = (models.Index(fields=("object_kind", "object_id")),)

    def __str__(self) -> str:
        return f"{self.role} → {self.user or self.group}"
