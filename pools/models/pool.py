"""Pool: like desktops from one template, and how many of them are to be there and to wait ready."""

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from broker.core import clock
from broker.virt.models import Cluster, Network, StorageDomain, TemplateVersion, VmTemplate
from pools.states import PoolState

LARGEST = 5000


class Pool(models.Model):
    """`template` empty: its desktops are physical PCs (pools/physical.py), put in and taken out one by one.

    `version` empty means the template's newest ready version.

    `storage` empty means the one with the most free space, chosen anew for each desktop. `suspended` free desktops
    lie suspended to disk besides the `prestarted` running ones. `schedule` and `hours` are short lists edited with
    the pool, as pools.calendar reads them: other numbers at certain times, and when desktops are handed out (empty:
    always). `target` is what reconcile last aimed at when that is not what the pool's own numbers say.
    `failures` and `retry_at` hold back a pool whose desktops fail; `alert` is the cause, shown until it heals.
    `booked`: desktops are had for a time that was booked, by its BookingRules.
    `revision` counts edits: whoever edits says which one they saw.
    """

    access_kind = "pool"

    class Kind(models.TextChoices):
        AUTOMATIC = "automatic", _("Automatic: the desktop goes back after use")
        MANUAL = "manual", _("Manual: the user keeps the desktop")

    class AfterHours(models.TextChoices):
        KEEP = "keep", _("Keep: who has a desktop goes on undisturbed")
        WARN = "warn", _("Warn: who has a desktop is told before and after closing time")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.SlugField(max_length=40, unique=True)
    title = models.CharField(max_length=128)
    description = models.TextField(blank=True)
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="pools")
    template = models.ForeignKey(VmTemplate, null=True, blank=True, on_delete=models.PROTECT, related_name="pools")
    version = models.ForeignKey(TemplateVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="pools")
    storage = models.ForeignKey(StorageDomain, null=True, blank=True, on_delete=models.PROTECT, related_name="pools")
    network = models.ForeignKey(Network, null=True, blank=True, on_delete=models.PROTECT, related_name="pools")
    kind = models.CharField(max_length=12, choices=Kind, default=Kind.AUTOMATIC)
    stateful = models.BooleanField(default=False)
    size = models.PositiveIntegerField(default=1, validators=[MinValueValidator(0), MaxValueValidator(LARGEST)])
    prestarted = models.PositiveIntegerField(default=0, validators=[MaxValueValidator(LARGEST)])
    suspended = models.PositiveIntegerField(default=0, validators=[MaxValueValidator(LARGEST)])
    zone = models.CharField(max_length=64, default="UTC")
    schedule = models.JSONField(default=list, blank=True)
    hours = models.JSONField(default=list, blank=True)
    after_hours = models.CharField(max_length=8, choices=AfterHours, default=AfterHours.KEEP)
    forecast = models.BooleanField(default=False)
    protected = models.BooleanField(default=False)
    booked = models.BooleanField(default=False, editable=False)
    target = models.JSONField(null=True, editable=False)
    max_per_user = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1), MaxValueValidator(100)])
    name_pattern = models.CharField(max_length=48, default="", blank=True)
    state = models.CharField(max_length=12, default=PoolState.ACTIVE, choices=[(s, s) for s in PoolState])
    failures = models.PositiveIntegerField(default=0, editable=False)
    retry_at = models.DateTimeField(null=True, editable=False)
    alert = models.JSONField(null=True, editable=False)
    revision = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ("title",)
        constraints = (
            models.CheckConstraint(
                condition=Q(prestarted__lte=F("size")), name="prestarted_within_size",
                violation_error_message=_("No more desktops can be prestarted than the pool has."),
            ),
        )  # fmt: skip

    def __str__(self) -> str:
        return self.title or self.name

    @property
    def is_physical(self) -> bool:
        """Whether its desktops are PCs that no hypervisor runs."""
        return self.template_id is None
