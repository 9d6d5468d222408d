"""BackupSchedule: when machines are backed up, and which of their backups are kept."""

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from broker.core import clock
from broker.virt.models import VirtualMachine

from .target import BackupTarget


class BackupSchedule(models.Model):
    """On `days` (0 is Monday) at `at` of the clocks in `zone`; every `full_every`th is a full one.

    Of each machine's backups the last `keep_last` stay, and the last one of each of the last days, weeks and months.
    """

    access_kind = "backup-schedule"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    target = models.ForeignKey(BackupTarget, on_delete=models.PROTECT, related_name="schedules")
    name = models.CharField(max_length=64, unique=True)
    enabled = models.BooleanField(default=True)
    vms = models.ManyToManyField(VirtualMachine, blank=True, related_name="backup_schedules")
    days = models.JSONField(default=list)
    at = models.TimeField()
    zone = models.CharField(max_length=64, default="UTC")
    full_every = models.PositiveSmallIntegerField(default=7, validators=[MinValueValidator(1), MaxValueValidator(100)])
    keep_last = models.PositiveSmallIntegerField(default=3)
    keep_daily = models.PositiveSmallIntegerField(default=7)
    keep_weekly = models.PositiveSmallIntegerField(default=4)
    keep_monthly = models.PositiveSmallIntegerField(default=6)
    next_run_at = models.DateTimeField(null=True, db_index=True)
    last_run_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        ordering = ("name",)
        verbose_name = "backup schedule"

    def __str__(self) -> str:
        return self.name
