"""High availability: what is known of hosts' health, the verdicts, who can cut their power, machines to restart."""

import uuid

from django.db import models

from broker.core import clock
from broker.virt.states import RecoveryState

from .host import Host
from .machine import VirtualMachine


class HostSign(models.Model):
    """The last sign of life of a host that a source saw: its agent, its lease on a storage (`by`), another host (`by`).

    `looked_at`: when somebody last looked at a lease, whether it had moved or not. That it stands still is known only
    as far as somebody looked. `promise`: after so many seconds without a renewal the host stops its machines.
    """

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="signs")
    source = models.CharField(max_length=16)
    by = models.CharField(max_length=64, blank=True)
    at = models.DateTimeField()
    looked_at = models.DateTimeField(null=True)
    promise = models.FloatField(default=0.0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("host", "source", "by"), name="one_sign_per_source"),)

    def __str__(self) -> str:
        return f"{self.source} {self.by}".strip()


class HostHealth(models.Model):
    """What the duty of high availability knows of a host. Times by the database's clock.

    `seen`: source → [the last sign it gave, when that was new to us]: a sign counts from when it was new, so no other
    machine's clock matters. `silent_since` is None while libvirt answers. `lost_at`: found dead; with `only_leased`
    that is proved for machines with a lease alone. `epoch` counts how often. What was asked, tried, switched off or
    confirmed counts only until libvirt's next sign. `decision` and `rule` are those of the last verdict.
    """

    host = models.OneToOneField(Host, primary_key=True, on_delete=models.CASCADE, related_name="health")
    seen = models.JSONField(default=dict)
    silent_since = models.DateTimeField(null=True)
    asked_at = models.DateTimeField(null=True)
    tried_at = models.DateTimeField(null=True)
    off_at = models.DateTimeField(null=True)
    confirmed_at = models.DateTimeField(null=True)
    lost_at = models.DateTimeField(null=True)
    only_leased = models.BooleanField(default=False)
    decision = models.CharField(max_length=12, blank=True)
    rule = models.CharField(max_length=32, blank=True)
    epoch = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.host_id)


class HaWatch(models.Model):
    """Since when hosts have been watched without a gap, and when they were last looked at: one row."""

    since = models.DateTimeField()
    looked_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.since:%H:%M:%S}"


class Verdict(models.Model):
    """What was decided about a host, by which rule, on which evidence; written when it changes, never afterwards."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="verdicts")
    at = models.DateTimeField(default=clock.now)
    decision = models.CharField(max_length=12)
    rule = models.CharField(max_length=32)
    message = models.CharField(max_length=255)
    params = models.JSONField(default=dict)
    evidence = models.JSONField(default=list)
    silent_seconds = models.PositiveIntegerField(default=0)
    epoch = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("-at",)
        indexes = (models.Index(fields=("host", "-at")),)

    def __str__(self) -> str:
        return f"{self.decision} ({self.rule})"


class FenceDevice(models.Model):
    """Power management of a host, through an agent of the fence-agents package. `secret` is sealed (ha/secret.py)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="fence_devices")
    agent = models.CharField(max_length=48)
    address = models.CharField(max_length=255)
    username = models.CharField(max_length=64, blank=True)
    secret = models.TextField(blank=True, editable=False)
    options = models.JSONField(default=dict)
    order = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ("order", "agent", "address")

    def __str__(self) -> str:
        return f"{self.agent} {self.address}"


class Recovery(models.Model):
    """A machine to restart because its host was lost, or that was. It proves that the copy on `host` is stale.

    `epoch` is that of the host's loss. `reason` says why it waits.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    vm = models.ForeignKey(VirtualMachine, on_delete=models.CASCADE, related_name="recoveries")
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="recoveries")
    target = models.ForeignKey(Host, null=True, on_delete=models.SET_NULL, related_name="+")
    epoch = models.PositiveIntegerField()
    state = models.CharField(max_length=12, default=RecoveryState.WAITING, choices=[(s, s) for s in RecoveryState])
    job = models.UUIDField(null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(default=clock.now)
    reason = models.TextField(blank=True)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ("created_at",)
        constraints = (
            models.UniqueConstraint(
                fields=("vm",), condition=models.Q(state__in=("waiting", "starting")), name="one_recovery_at_a_time"
            ),
        )

    def __str__(self) -> str:
        return f"{self.vm_id} {self.state}"
