"""Role: a set of verbs. Grant: a user or group has a role on an object, or on everything. Quota: how much of it."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from broker.core import clock


class Role(models.Model):
    """`verbs` are "<kind>.<verb>"; "*" and "vm.*", "*.view" stand for many.

    `second_factor`: whoever holds it, on whatever object, has to sign in with one.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.SlugField(unique=True)
    title = models.CharField(max_length=128)
    builtin = models.BooleanField(default=False, editable=False)
    verbs = models.JSONField(default=list)
    second_factor = models.BooleanField(default=False)

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


class Quota(models.Model):
    """The most that a user, a group or a cluster may use; with a cluster, a user's or group's limit counts there.

    A limit that is None is none. `each`: a group's limits are for every member by themselves, not for all together.
    From `threshold_percent` of a limit on it is warned; `grace_percent` over it is still let through, with a warning,
    and with `grace_hours` only for so long at a stretch (QuotaOverrun).
    """

    access_kind = "quota"

    class Mode(models.TextChoices):
        OFF = "off", _("off")
        AUDIT = "audit", _("only watched")
        ENFORCED = "enforced", _("enforced")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey("directories.User", null=True, blank=True, on_delete=models.CASCADE, related_name="quotas")
    group = models.ForeignKey(
        "directories.Group", null=True, blank=True, on_delete=models.CASCADE, related_name="quotas"
    )
    cluster = models.ForeignKey("virt.Cluster", null=True, blank=True, on_delete=models.CASCADE, related_name="quotas")
    each = models.BooleanField(default=False)
    mode = models.CharField(max_length=8, choices=Mode, default=Mode.ENFORCED)
    vcpus = models.PositiveIntegerField(null=True, blank=True)
    memory_mib = models.PositiveBigIntegerField(null=True, blank=True)
    disk_gib = models.PositiveBigIntegerField(null=True, blank=True)
    machines = models.PositiveIntegerField(null=True, blank=True)
    running = models.PositiveIntegerField(null=True, blank=True)
    threshold_percent = models.PositiveSmallIntegerField(default=80)
    grace_percent = models.PositiveSmallIntegerField(default=0)
    grace_hours = models.PositiveSmallIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ("created_at", "pk")
        constraints = (
            models.CheckConstraint(
                condition=Q(user__isnull=True) | Q(group__isnull=True), name="quota_of_user_or_group"
            ),
            models.CheckConstraint(
                condition=Q(user__isnull=False) | Q(group__isnull=False) | Q(cluster__isnull=False),
                name="quota_of_somebody",
            ),
            models.CheckConstraint(condition=Q(each=False) | Q(group__isnull=False), name="quota_each_of_group"),
            *(
                # NULLs are distinct to a plain constraint; see Grant.
                models.UniqueConstraint(
                    fields=(*((who, "each") if who else ()), *(("cluster",) if in_cluster else ())),
                    condition=Q(
                        user__isnull=who != "user", group__isnull=who != "group", cluster__isnull=not in_cluster
                    ),
                    name=f"quota_once_{who or 'all'}_{'cluster' if in_cluster else 'everywhere'}",
                )
                for who, in_cluster in (
                    ("user", True), ("user", False), ("group", True), ("group", False), ("", True)
                )
            ),
        )  # fmt: skip

    def __str__(self) -> str:
        whose = self.user or self.group
        return " · ".join(str(one) for one in (whose, self.cluster) if one is not None)


class QuotaOverrun(models.Model):
    """Since when a limit of a quota with a grace time is exceeded; the row goes when it no longer is.

    `user` for a quota of each member, which runs for each by themselves; `told`: that the time is up was recorded.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    quota = models.ForeignKey(Quota, on_delete=models.CASCADE, related_name="overruns")
    resource = models.CharField(max_length=16)
    user = models.ForeignKey("directories.User", null=True, on_delete=models.CASCADE, related_name="quota_overruns")
    since = models.DateTimeField(default=clock.now)
    told = models.BooleanField(default=False)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("quota", "resource"), condition=Q(user__isnull=True), name="quota_overrun_once"
            ),
            models.UniqueConstraint(
                fields=("quota", "resource", "user"), condition=Q(user__isnull=False), name="quota_overrun_once_each"
            ),
        )

    def __str__(self) -> str:
        return f"{self.quota}: {self.resource}"
