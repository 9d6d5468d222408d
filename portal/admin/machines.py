"""Machines in the back office."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import action, display

from broker.access.actor import Actor
from broker.jobs.models import Job
from broker.virt import pending
from broker.virt.actions.adopt_vm import adopt_vm
from broker.virt.actions.apply_changes import apply_changes
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.edit_vm import edit_vm
from broker.virt.actions.examine_disks import examine_disks
from broker.virt.actions.export_vm import export_vm
from broker.virt.actions.migrate_vm import migrate_vm
from broker.virt.actions.pause_vm import pause_vm
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.reboot_vm import reboot_vm
from broker.virt.actions.reset_vm import reset_vm
from broker.virt.actions.resume_vm import resume_vm
from broker.virt.actions.run_once import run_once
from broker.virt.actions.shutdown_vm import shutdown_vm
from broker.virt.actions.start_vm import start_vm
from broker.virt.actions.suspend_vm import suspend_vm
from broker.virt.actions.undo_changes import undo_changes
from broker.virt.batches import snapshot_now
from broker.virt.models import DeviceUse, Disk, DiskShare, ForeignMachine, Nic, Sample, VirtualMachine
from portal.templatetags.berth import bytesize, mib
from portal.web.changes import summary

from .deeds import Deed, with_deeds
from .rows import AMBER, BLUE, GREEN, POWER, RED, Inline, Rows, bar, link, worded
from .site import site

STATE = {"ready": GREEN, "creating": BLUE, "deleting": AMBER, "broken": RED}


def _anew(*, actor: Actor, vm: VirtualMachine) -> Job:
    """With the words it has; others are said on the machine's page."""
    return run_once(actor=actor, vm=vm, cloud_init_again=True)


def _delete_keeping_disks(*, actor: Actor, vm: VirtualMachine) -> Job:
    return delete_vm(actor=actor, vm=vm, keep_disks=True)


DEEDS = (
    Deed("start", _("Start"), start_vm, "vm", _("The machine is switched on, or woken from disk."), "play_arrow"),
    Deed(
        "anew",
        _("Start, with cloud-init again"),
        _anew,
        "vm",
        _("Its guest takes this start for its first one: users, keys and scripts are done again."),
        "restart_alt",
    ),
    Deed("shutdown", _("Shut down"), shutdown_vm, "vm", _("The guest is asked to shut down."), "power_settings_new"),
    Deed("reboot", _("Restart"), reboot_vm, "vm", _("The guest is asked to restart."), "restart_alt"),
    Deed("migrate", _("Migrate"), migrate_vm, "vm", _("It moves to another host while it runs."), "move_down"),
    Deed(
        "examine",
        _("Examine disks"),
        examine_disks,
        "vm",
        _("Database, files and hypervisor are compared; nothing is changed."),
        "troubleshoot",
    ),
    Deed(
        "ova",
        _("Export as OVA"),
        export_vm,
        "vm",
        _("A file of the machine, which has to be off, is made to be downloaded from its page of disks."),
        "file_save",
    ),
    Deed("apply", _("Try changes now"), apply_changes, "vm", _("What waits for its next start is tried now."), "bolt"),
    Deed(
        "undo",
        _("Undo changes"),
        undo_changes,
        "vm",
        _("What waits for its next start is forgotten; the machine stays as it is."),
        "undo",
    ),
    Deed("pause", _("Pause"), pause_vm, "vm", _("It stands still, in memory, until resumed."), "pause"),
    Deed("resume", _("Resume"), resume_vm, "vm", _("It goes on where it was paused."), "resume"),
    Deed(
        "suspend", _("Suspend to disk"), suspend_vm, "vm", _("Its memory is written to disk and it is off."), "bedtime"
    ),
    Deed(
        "snapshot",
        _("Take a snapshot"),
        snapshot_now,
        "vm",
        _("All its disks are kept as they are now, without its memory; it goes on meanwhile."),
        "photo_camera",
    ),
    Deed(
        "reset",
        _("Reset"),
        reset_vm,
        "vm",
        _("The reset button is pressed: whoever works there loses what is not saved."),
        "restart_alt",
        destroys=True,
    ),
    Deed(
        "power_off",
        _("Power off"),
        power_off_vm,
        "vm",
        _("The plug is pulled: whoever works there loses what is not saved."),
        "stop_circle",
        destroys=True,
    ),
    Deed(
        "delete_keeping_disks",
        _("Delete, keep its disks"),
        _delete_keeping_disks,
        "vm",
        _("The machine is powered off and removed. Its disks stay as disks of no machine, and are yours."),
        "eject",
        destroys=True,
    ),
    Deed(
        "delete",
        _("Delete"),
        delete_vm,
        "vm",
        _("The machine is powered off and removed with its disks. Nothing of it can be brought back."),
        "delete",
        destroys=True,
    ),
)


class DiskInline(Inline):
    model = Disk
    show_change_link = True
    fields = readonly_fields = (
        "target", "volume", "storage", "size", "allocated", "generation", "read_only", "discard", "detect_zeroes",
        "wipe_after_delete",
    )  # fmt: skip

    @display(description=_("Size"))
    def size(self, disk: Disk) -> str:
        return bytesize(disk.size_bytes)

    @display(description=_("Allocated"))
    def allocated(self, disk: Disk) -> str:
        return bytesize(disk.allocated_bytes)


class ShareInline(Inline):
    model = DiskShare
    fields = readonly_fields = ("target", "disk", "read_only", "plugged")
    verbose_name_plural = _("Shared disks")


class DeviceInline(Inline):
    model = DeviceUse
    fields = readonly_fields = ("device", "plugged")
    verbose_name_plural = _("Devices of its host")


class NicInline(Inline):
    model = Nic
    show_change_link = True
    fields = readonly_fields = (
        "mac",
        "network",
        "model",
        "connected",
        "in_kib",
        "out_kib",
        "guard",
        "plugged",
        "leased",
    )


STARTS = ("autostart", "autostart_order", "autostart_delay")


@admin.register(VirtualMachine, site=site)
@with_deeds(*DEEDS)
class MachineAdmin(Rows):
    """Titles and sizes can be changed; states are what Berth and the hosts say."""

    editable = True
    list_display = (
        "headline",
        "life",
        "power",
        "load",
        "host_link",
        "pool_link",
        "holder",
        "vcpus",
        "memory",
        "observed_at",
    )
    list_filter = (
        ("power_state", ChoicesDropdownFilter),
        ("state", ChoicesDropdownFilter),
        ("host", RelatedDropdownFilter),
        ("cluster", RelatedDropdownFilter),
        ("desktop__pool", RelatedDropdownFilter),
    )
    search_fields = ("name", "title", "id__iexact")
    list_select_related = ("host", "template_version__template", "desktop__pool", "desktop__holder")
    inlines = (DiskInline, ShareInline, NicInline, DeviceInline)
    fieldsets = (
        (
            _("General"),
            {"fields": (("name", "title"), "description", "notes", ("owner", "protected"), "on_error", STARTS)},
        ),
        (_("Hardware"), {"fields": (("vcpus", "memory_mib"), ("machine", "graphics"), "waits")}),
        (
            _("Now"),
            {
                "fields": (
                    ("life", "power"),
                    ("power_reason", "observed_at"),
                    ("host_link", "booted_at"),
                    ("load", "guest"),
                )
            },
        ),
        (_("Origin"), {"fields": (("cluster", "template_version"), ("linked", "created_at"), "id")}),
    )
    readonly_fields = (
        "id",
        "name",
        "owner",
        "waits",
        "machine",
        "graphics",
        "life",
        "power",
        "power_reason",
        "observed_at",
        "host_link",
        "booted_at",
        "load",
        "guest",
        "cluster",
        "template_version",
        "linked",
        "created_at",
    )

    def change_by(self, request: HttpRequest, obj: VirtualMachine, values: dict[str, Any]) -> None:
        edit_vm(actor=self.actor(request), vm=obj, **values)

    @action(description=_("Open console"), url_path="console", icon="desktop_windows")
    def do_console(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(reverse("portal:console", args=(object_id,)))

    @action(description=_("Jobs"), url_path="jobs", icon="pending_actions")
    def do_jobs(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:jobs_job_changelist") + "?" + urlencode({"q": object_id}))

    @display(description=_("Name"), ordering="name", header=True)
    def headline(self, vm: VirtualMachine) -> list[str]:
        under = vm.title or (vm.template_version.template.os_name if vm.template_version else "")
        return [vm.name, under, vm.name[:2].upper()]

    @display(description=_("State"), ordering="state", label=STATE)
    def life(self, vm: VirtualMachine) -> tuple[str, str]:
        return worded(vm.state)

    @display(description=_("Power"), ordering="power_state", label=POWER)
    def power(self, vm: VirtualMachine) -> tuple[str, str]:
        return worded(vm.power_state)

    @display(description=_("At its next start"))
    def waits(self, vm: VirtualMachine) -> str:
        return summary(pending.differences(vm, pending.of(vm))) or "–"

    @display(description=_("CPU"), ordering="cpu_percent")
    def load(self, vm: VirtualMachine) -> Any:
        return bar(vm.cpu_percent if vm.power_state == "running" else 0)

    @display(description=_("Host"), ordering="host")
    def host_link(self, vm: VirtualMachine) -> Any:
        return link(vm.host)

    @display(description=_("Pool"))
    def pool_link(self, vm: VirtualMachine) -> Any:
        desktop = getattr(vm, "desktop", None)
        return link(desktop.pool if desktop else None)

    @display(description=_("In use by"))
    def holder(self, vm: VirtualMachine) -> Any:
        desktop = getattr(vm, "desktop", None)
        return link(desktop.holder if desktop else None)

    @display(description=_("Memory"), ordering="memory_mib")
    def memory(self, vm: VirtualMachine) -> str:
        return mib(vm.memory_mib)


MachineAdmin.actions_row = ["do_console", "do_jobs", *(f"do_{deed.name}" for deed in DEEDS)]
MachineAdmin.actions_detail = [
    "do_console",
    "do_jobs",
    "do_start",
    "do_shutdown",
    "do_power_off",
    {
        "title": _("More"),
        "items": [
            "do_anew",
            "do_reboot",
            "do_reset",
            "do_migrate",
            "do_snapshot",
            "do_examine",
            "do_apply",
            "do_undo",
            "do_pause",
            "do_resume",
            "do_suspend",
            "do_delete",
        ],
    },
]


@admin.register(ForeignMachine, site=site)
@with_deeds(
    Deed(
        "adopt",
        _("Adopt"),
        adopt_vm,
        "foreign",
        _("Berth manages it from now on. Nothing on the host is changed; what Berth does not know of it stays."),
        "add_link",
    )
)
class ForeignMachineAdmin(Rows):
    """Machines on our hosts that Berth did not make."""

    list_display = ("name", "host", "power", "vcpus", "memory", "uuid", "observed_at")
    list_filter = (("host", RelatedDropdownFilter),)
    search_fields = ("name", "uuid__iexact")
    list_select_related = ("host",)

    @display(description=_("Power"), label=POWER)
    def power(self, machine: ForeignMachine) -> tuple[str, str]:
        return worded(machine.power_state)

    @display(description=_("Memory"))
    def memory(self, machine: ForeignMachine) -> str:
        return bytesize(machine.memory_bytes)


@admin.register(Sample, site=site)
class SampleAdmin(Rows):
    """Readings of load, as the monitor wrote them."""

    list_display = (
        "vm",
        "at",
        "cpu_percent",
        "memory_used",
        "disk_read_rate",
        "disk_write_rate",
        "net_in_rate",
        "net_out_rate",
    )
    search_fields = ("vm__name",)
    list_select_related = ("vm",)

    @display(description=_("Memory"))
    def memory_used(self, sample: Sample) -> str:
        return bytesize(sample.memory_used_bytes)
