"""The words, tones and icons that pages use for states. A state is always a word; its tone only underlines it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from broker.virt.physical.observe import MAINTENANCE

if TYPE_CHECKING:
    from broker.jobs.models import Job
    from broker.virt.models import VirtualMachine

Text = str | Promise


@dataclass(frozen=True, slots=True)
class Mark:
    """A state as shown: `tone` is good, busy, warn, bad or idle."""

    word: Text
    tone: str


LIFE = {
    "creating": Mark(_("Preparing"), "busy"),
    "deleting": Mark(_("Being deleted"), "busy"),
    "broken": Mark(_("Broken"), "bad"),
}
POWER = {
    "running": Mark(_("Running"), "good"),
    "off": Mark(_("Off"), "idle"),
    "paused": Mark(_("Paused"), "warn"),
    "suspended": Mark(_("Suspended"), "warn"),
    "crashed": Mark(_("Crashed"), "bad"),
    "missing": Mark(_("Missing"), "bad"),
    "unknown": Mark(_("Not seen yet"), "idle"),
}
# What a machine is doing while a job of this plan works on it.
UNDER_WAY = {
    "vm.create": _("Preparing"),
    "vm.start": _("Starting"),
    "vm.wake": _("Being woken"),
    "vm.resume": _("Resuming"),
    "vm.shutdown": _("Shutting down"),
    "vm.power-off": _("Powering off"),
    "vm.reboot": _("Restarting"),
    "vm.migrate": _("Moving"),
    "vm.reset": _("Resetting"),
    "vm.suspend": _("Suspending"),
    "vm.pause": _("Pausing"),
    "vm.delete": _("Being deleted"),
}
DESKTOP = {
    "building": Mark(_("Being made"), "busy"),
    "free": Mark(_("Free"), "good"),
    "assigned": Mark(_("In use"), "idle"),
    "resetting": Mark(_("Being reset"), "busy"),
    "retiring": Mark(_("Being removed"), "busy"),
    "broken": Mark(_("Broken"), "bad"),
}
POOL = {"active": Mark(_("Active"), "good"), "deleting": Mark(_("Being deleted"), "busy")}
JOB = {
    "queued": Mark(_("Waiting for a worker"), "idle"),
    "running": Mark(_("Running"), "busy"),
    "waiting": Mark(_("Waiting"), "busy"),
    "undoing": Mark(_("Undoing"), "warn"),
    "succeeded": Mark(_("Done"), "good"),
    "failed": Mark(_("Failed"), "bad"),
    "cancelled": Mark(_("Cancelled"), "idle"),
    "errored": Mark(_("Internal error"), "bad"),
}
STEP = {
    "pending": Mark(_("To do"), "idle"),
    "running": Mark(_("Running"), "busy"),
    "done": Mark(_("Done"), "good"),
    "failed": Mark(_("Failed"), "bad"),
    "undone": Mark(_("Undone"), "warn"),
}
STORAGE_KIND = {"dir": _("Directory"), "nfs": _("NFS share"), "iscsi": _("iSCSI")}
STORAGE = {"active": Mark(_("In use"), "good"), "maintenance": Mark(_("Maintenance"), "warn")}
HOST = {
    "active": Mark(_("In service"), "good"),
    "preparing": Mark(_("Preparing for maintenance"), "busy"),
    "maintenance": Mark(_("Maintenance"), "warn"),
    "asleep": Mark(_("Asleep"), "idle"),
}
HOST_STATUS = {
    "up": Mark(_("Up"), "good"),
    "unassigned": Mark(_("Not seen yet"), "idle"),
    "connecting": Mark(_("Connecting"), "busy"),
    "non-responsive": Mark(_("Not responding"), "bad"),
    "non-operational": Mark(_("Not operational"), "bad"),
    "preparing-for-maintenance": Mark(_("Preparing for maintenance"), "busy"),
    "maintenance": Mark(_("Maintenance"), "warn"),
    "asleep": Mark(_("Asleep"), "idle"),
    "rebooting": Mark(_("Rebooting"), "busy"),
    "down": Mark(_("Down"), "bad"),
}
VERSION = {
    "building": Mark(_("Being built"), "busy"),
    "ready": Mark(_("Ready"), "good"),
    "deleting": Mark(_("Being deleted"), "busy"),
}
NETWORK = {
    "nat": _("Behind the host (NAT)"),
    "isolated": _("Isolated"),
    "bridge": _("Bridge"),
    "ovs": _("Open vSwitch"),
}
SEVERITY = {
    "info": Mark(_("Information"), "idle"),
    "warning": Mark(_("Warning"), "warn"),
    "error": Mark(_("Error"), "bad"),
}
UNKNOWN = Mark(_("Unknown"), "idle")

EVENT_ICONS = {
    "console": "plug-connected",
    "session": "plug-connected",
    "vm": "server-2",
    "power": "power",
    "pool": "stack-2",
    "meta-pool": "stack-2",
    "desktop": "device-desktop",
    "job": "list-check",
    "host": "server",
    "user": "user",
    "template": "template",
    "storage": "database",
    "network": "network",
    "access": "lock",
}
OS_ICONS = {"debian": "brand-debian", "ubuntu": "brand-ubuntu", "windows": "brand-windows"}


def machine_mark(vm: "VirtualMachine", job: "Job | None" = None) -> Mark:
    """One word for a machine: its life when that is not simply "ready", then what is under way, then its power."""
    if vm.state in LIFE and not (vm.state == "broken" and job):
        return LIFE[vm.state]
    if vm.is_physical and vm.power_reason == MAINTENANCE:
        return HOST["maintenance"]
    if job and job.plan in UNDER_WAY:
        return Mark(UNDER_WAY[job.plan], "busy")
    return POWER.get(vm.power_state, UNKNOWN)


def event_icon(kind: str) -> str:
    """An icon for an event kind such as "vm.started"."""
    subject, _dot, verb = kind.partition(".")
    return EVENT_ICONS.get(verb, EVENT_ICONS.get(subject, "info-circle"))


def os_icon(name: str) -> str:
    """An icon for an operating system's name."""
    lowered = name.lower()
    return next((found for part, found in OS_ICONS.items() if part in lowered), "device-desktop")
