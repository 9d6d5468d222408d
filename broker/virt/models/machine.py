"""VirtualMachine: what is wanted of a machine, and what was last seen of it."""

import uuid

from django.db import models

from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.virt.driver import PowerState
from broker.virt.states import VmState

from .cluster import Cluster
from .host import Host
from .image import Image
from .instance_type import InstanceType
from .storage import StorageDomain
from .template import TemplateVersion


class VirtualMachine(models.Model):
    """`state` is our lifecycle; `power_state` what the host said at `observed_at`; what is under way is a Job.

    `owner` made it and pays for it by their quota; a pool's desktops have none.
    `available`: highly available, so restarted elsewhere when its host dies, the highest `priority` first; `leased`:
    its host's lease on storage guards it, so the lease's end alone proves that it cannot run there any more.
    `on_error`: what is done when a disk is full or fails (disk_trouble.py).
    `autostart`: started when its host was rebooted, those of the lowest `autostart_order` first, and others
    `autostart_delay` seconds after it (autostart.py); `start_due`: its host was rebooted then, and it is to start, or
    it is tried again then; `start_job`: the start that was asked for, the `start_tries`-th after this reboot.
    `instance_type`: by which it was made or resized last; its own size may differ by now.
    `options`: the hardware somebody chose, by the names in machine_options.py.
    `cd`: what lies in its CD drive, which it has with a CD only; `run_cd`: what was put there for its present or last
    run only. `cloud_init`: what its guest is told at its first start, sealed (cloud_init.py); a disk of its own has
    these words, which lies on `seed_on`.
    `outside`: the devices of an adopted machine that Berth leaves alone and that tie it to its host.
    While a job moves it, `moving_to` is where to; it is on `host` until it was seen to run there.
    `machine` is the kind of its mainboard, or "physical" for a PC that no hypervisor runs (physical/): that has no
    host, disks nor cards, and what is observed of it is written by physical/observe.py.
    A `protected` machine is not deleted, whoever asks, until somebody takes the protection away.
    The columns from `power_state` on are written by the monitor alone, never older over newer.
    `agent_at` is when the agent of the present run first answered, `online_at` when it first told an address.
    `boot_id` names the present run; `definition` is the digest of the definition we last wrote or accepted,
    `observed_definition` of the one on the host: they differ when somebody edited it behind our back.
    """

    access_kind = "vm"

    class OnError(models.TextChoices):
        RESUME = "resume", N_("it is paused, and goes on by itself")
        PAUSE = "pause", N_("it is paused until somebody resumes it")
        KILL = "kill", N_("its power is cut")
        REPORT = "report", N_("its guest is told")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="vms")
    host = models.ForeignKey(Host, null=True, blank=True, on_delete=models.PROTECT, related_name="vms")
    moving_to = models.ForeignKey(
        Host, null=True, blank=True, editable=False, on_delete=models.SET_NULL, related_name="arriving"
    )
    template_version = models.ForeignKey(
        TemplateVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="vms"
    )
    owner = models.ForeignKey(
        "directories.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="machines"
    )
    instance_type = models.ForeignKey(
        InstanceType, null=True, blank=True, editable=False, on_delete=models.SET_NULL, related_name="vms"
    )
    cd = models.ForeignKey(
        Image, null=True, blank=True, editable=False, on_delete=models.PROTECT, related_name="machines"
    )
    run_cd = models.ForeignKey(
        Image, null=True, blank=True, editable=False, on_delete=models.SET_NULL, related_name="runs"
    )
    cloud_init = models.TextField(blank=True, editable=False)
    seed_on = models.ForeignKey(
        StorageDomain, null=True, blank=True, editable=False, on_delete=models.PROTECT, related_name="seeds"
    )
    outside = models.JSONField(default=list, blank=True, editable=False)
    linked = models.BooleanField(default=True)
    name = models.CharField(max_length=64, unique=True)
    title = models.CharField(max_length=128, blank=True)
    description = models.TextField(blank=True)
    notes = models.TextField(blank=True)
    vcpus = models.PositiveSmallIntegerField(default=1)
    memory_mib = models.PositiveIntegerField(default=1024)
    machine = models.CharField(max_length=16, default="q35")
    graphics = models.JSONField(default=list)
    options = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=12, default=VmState.CREATING, choices=[(s, s) for s in VmState])
    protected = models.BooleanField(default=False)
    available = models.BooleanField(default=False, editable=False)
    priority = models.PositiveSmallIntegerField(default=50, editable=False)
    leased = models.BooleanField(default=False, editable=False)
    on_error = models.CharField(max_length=8, default=OnError.RESUME, choices=OnError)
    labels = models.JSONField(default=list, blank=True, editable=False)
    autostart = models.BooleanField("starts with its host", default=False)
    autostart_order = models.PositiveSmallIntegerField("order of starting", default=50)
    autostart_delay = models.PositiveSmallIntegerField("seconds until the next order", default=0)
    start_due = models.DateTimeField(null=True, editable=False)
    start_tries = models.PositiveSmallIntegerField(default=0, editable=False)
    start_job = models.UUIDField(null=True, editable=False)
    created_at = models.DateTimeField(default=clock.now)
    shutdown_asked_at = models.DateTimeField(null=True, blank=True)

    power_state = models.CharField(max_length=12, default=PowerState.UNKNOWN, choices=[(s, s) for s in PowerState])
    power_reason = models.CharField(max_length=64, blank=True)
    observed_at = models.DateTimeField(null=True, editable=False)
    boot_id = models.CharField(max_length=64, blank=True, editable=False)
    booted_at = models.DateTimeField(null=True, editable=False)
    definition = models.CharField(max_length=64, blank=True, editable=False)
    observed_definition = models.CharField(max_length=64, blank=True, editable=False)
    consoles = models.JSONField(default=list, editable=False)
    guest = models.JSONField(default=dict, editable=False)
    guest_at = models.DateTimeField(null=True, editable=False)
    agent_at = models.DateTimeField(null=True, editable=False)
    online_at = models.DateTimeField(null=True, editable=False)
    cpu_percent = models.PositiveSmallIntegerField(null=True, editable=False)
    memory_used_bytes = models.PositiveBigIntegerField(null=True, editable=False)

    class Meta:
        ordering = ("name",)
        indexes = (
            models.Index(fields=("power_state",)),
            models.Index(fields=("state",)),
            models.Index(fields=("host", "power_state")),
            models.Index(fields=("host",), name="vm_start_due", condition=models.Q(start_due__isnull=False)),
            models.Index(fields=("start_job",), name="vm_start_job", condition=models.Q(start_job__isnull=False)),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def is_physical(self) -> bool:
        """Whether it is a PC that no hypervisor runs."""
        return self.machine == "physical"
