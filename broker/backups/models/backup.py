"""Backup: one moment of a machine's disks. BackupDisk: the file of one of them."""

import uuid

from django.db import models

from broker.backups.states import BackupState
from broker.core import clock
from broker.virt.models import VirtualMachine

from .schedule import BackupSchedule
from .target import BackupTarget


class Backup(models.Model):
    """An incremental one holds what changed since its `parent`, and is worth nothing without it.

    It outlives its machine: `vm_key` and `vm_name` tell which it was, `hardware` what it was made of.
    `checkpoint` is the hypervisor's name of the moment, empty when it could not note one. `reason` says why it is a
    full one although what changed was asked for.
    """

    access_kind = "backup"

    class Kind(models.TextChoices):
        FULL = "full"
        INCREMENTAL = "incremental"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    target = models.ForeignKey(BackupTarget, on_delete=models.PROTECT, related_name="backups")
    schedule = models.ForeignKey(
        BackupSchedule, null=True, blank=True, on_delete=models.SET_NULL, related_name="backups"
    )
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    vm = models.ForeignKey(VirtualMachine, null=True, blank=True, on_delete=models.SET_NULL, related_name="backups")
    vm_key = models.UUIDField(db_index=True)
    vm_name = models.CharField(max_length=64)
    hardware = models.JSONField(default=dict)
    kind = models.CharField(max_length=12, choices=Kind, default=Kind.FULL)
    state = models.CharField(max_length=12, default=BackupState.MAKING, choices=[(s, s) for s in BackupState])
    live = models.BooleanField(default=False)
    quiesced = models.BooleanField(default=False)
    reason = models.TextField(blank=True)
    checkpoint = models.CharField(max_length=64, blank=True)
    size_bytes = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField(default=clock.now)
    finished_at = models.DateTimeField(null=True)
    verified_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ("-created_at",)
        indexes = (models.Index(fields=("vm_key", "target", "-created_at")), models.Index(fields=("state",)))

    def __str__(self) -> str:
        return f"{self.vm_name} {self.created_at:%Y-%m-%d %H:%M}"


class BackupDisk(models.Model):
    """`volume` is its file on the target, `source` the volume of the machine it was made from."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    backup = models.ForeignKey(Backup, on_delete=models.CASCADE, related_name="disks")
    target = models.CharField(max_length=8)
    order = models.PositiveSmallIntegerField(default=0)
    source = models.CharField(max_length=128)
    volume = models.CharField(max_length=160)
    capacity_bytes = models.PositiveBigIntegerField(default=0)
    size_bytes = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ("order", "target")
        constraints = (models.UniqueConstraint(fields=("backup", "target"), name="backup_disk_once"),)

    def __str__(self) -> str:
        return self.volume
