"""Disks, cards and snapshots of machines in the back office, and disks that were exported. All of it by the actions."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import display

from broker.access.actor import Actor
from broker.jobs.models import Job
from broker.virt.actions.commit_preview import commit_preview
from broker.virt.actions.convert_disk import convert_disk
from broker.virt.actions.delete_disk import delete_disk
from broker.virt.actions.delete_export import delete_export
from broker.virt.actions.delete_nic import delete_nic
from broker.virt.actions.delete_snapshot import delete_snapshot
from broker.virt.actions.detach_disk import detach_disk
from broker.virt.actions.edit_disk import edit_disk
from broker.virt.actions.edit_nic import edit_nic
from broker.virt.actions.preview_snapshot import preview_snapshot
from broker.virt.actions.revert_snapshot import revert_snapshot
from broker.virt.actions.undo_preview import undo_preview
from broker.virt.models import Disk, DiskExport, Nic, Preview, Snapshot, SnapshotDisk
from portal.templatetags.berth import bytesize

from .deeds import Deed, with_deeds
from .rows import Inline, Sized, link
from .site import site


class OfMachine(Sized):
    """Rows that belong to a machine, which is shown as a link."""

    @display(description=_("Machine"), ordering="vm__name")
    def machine_link(self, obj: Any) -> Any:
        return link(obj.vm)


def _to_raw(*, actor: Actor, disk: Disk) -> Job:
    return convert_disk(actor=actor, disk=disk, image_format="raw")


def _to_qcow2(*, actor: Actor, disk: Disk) -> Job:
    return convert_disk(actor=actor, disk=disk, image_format="qcow2")


@admin.register(Disk, site=site)
@with_deeds(
    Deed(
        "to_raw", _("Convert to raw"), _to_raw, "disk",
        _("Its image is written anew; each backup of the machine is a full one from then on."), "transform",
    ),
    Deed("to_qcow2", _("Convert to qcow2"), _to_qcow2, "disk", _("Its image is written anew."), "transform"),
    Deed(
        "detach", _("Detach"), detach_disk, "disk",
        _("Its machine loses it; the disk stays, belongs to you and can be given to another one."), "eject",
        destroys=True,
    ),
    Deed(
        "delete", _("Delete"), delete_disk, "disk",
        _("Its machine loses it, and what is on it is gone for good."), "delete", destroys=True,
    ),
)  # fmt: skip
class DiskAdmin(OfMachine):
    """How its guest may use it can be changed; growing, moving and limits are on the machine's page."""

    editable = True
    list_display = ("volume", "machine_link", "target", "storage", "format", "size", "allocated", "read_only")
    list_filter = (("storage", RelatedDropdownFilter), "read_only")
    search_fields = ("volume", "vm__name", "id__iexact")
    list_select_related = ("vm", "storage")
    fields = (
        ("machine_link", "target"), ("storage", "volume"), ("size", "allocated"), ("generation", "limits"),
        "read_only", ("discard", "detect_zeroes"), "wipe_after_delete",
    )  # fmt: skip
    readonly_fields = (
        "machine_link", "target", "storage", "volume", "size", "allocated", "generation", "limits",
    )  # fmt: skip

    def change_by(self, request: HttpRequest, obj: Disk, values: dict[str, Any]) -> None:
        edit_disk(actor=self.actor(request), disk=Disk.objects.select_related("vm").get(pk=obj.pk), **values)

    @display(description=_("Allocated"), ordering="allocated_bytes")
    def allocated(self, disk: Disk) -> str:
        return str(bytesize(disk.allocated_bytes))


@admin.register(Nic, site=site)
@with_deeds(
    Deed(
        "delete", _("Remove"), delete_nic, "nic",
        _("A running guest is asked to let the card go; where it does not, it is gone at the next start."), "delete",
        destroys=True,
    )
)  # fmt: skip
class NicAdmin(OfMachine):
    """What can change while the machine runs does at once, the rest at its next start."""

    editable = True
    list_display = ("mac", "machine_link", "network", "model", "connected", "guard", "plugged")
    list_filter = (("network", RelatedDropdownFilter), "connected")
    search_fields = ("mac", "vm__name", "id__iexact")
    list_select_related = ("vm", "network")
    fields = (
        ("machine_link", "mac"), ("network", "model"), "connected", ("in_kib", "out_kib"), "guard",
        ("plugged", "leased"),
    )  # fmt: skip
    readonly_fields = ("machine_link", "mac", "plugged", "leased")

    def change_by(self, request: HttpRequest, obj: Nic, values: dict[str, Any]) -> None:
        edit_nic(actor=self.actor(request), nic=Nic.objects.select_related("vm").get(pk=obj.pk), **values)


class FrozenInline(Inline):
    model = SnapshotDisk
    fields = readonly_fields = ("disk", "storage", "volume", "size_bytes")


@admin.register(Snapshot, site=site)
@with_deeds(
    Deed(
        "preview", _("Try"), preview_snapshot, "snapshot",
        _("The machine gets this state to look at; what it has now is set aside until you keep one of both."),
        "preview",
    ),
    Deed(
        "revert", _("Go back to it"), revert_snapshot, "snapshot",
        _("The machine is powered off and gets this state; what was written since is lost."), "history",
        destroys=True,
    ),
    Deed(
        "delete", _("Delete"), delete_snapshot, "snapshot",
        _("The state can no longer be gone back to. The machine stays as it is and goes on."), "delete", destroys=True,
    ),
)  # fmt: skip
class SnapshotAdmin(OfMachine):
    list_display = ("name", "machine_link", "parent", "current", "running", "with_memory", "quiesced", "created_at")
    list_filter = ("current", "running")
    search_fields = ("name", "vm__name", "id__iexact")
    list_select_related = ("vm", "parent")
    inlines = (FrozenInline,)
    fields = (
        ("name", "machine_link"), "description", ("parent", "current"), ("running", "with_memory", "quiesced"),
        "created_at",
    )  # fmt: skip
    readonly_fields = ("machine_link", "with_memory", "current", "running", "quiesced")

    @display(description=_("With memory"), boolean=True)
    def with_memory(self, snapshot: Snapshot) -> bool:
        return bool(snapshot.memory)


def _keep(*, actor: Actor, preview: Preview) -> Job:
    return commit_preview(actor=actor, vm=preview.vm)


def _back(*, actor: Actor, preview: Preview) -> Job:
    return undo_preview(actor=actor, vm=preview.vm)


@admin.register(Preview, site=site)
@with_deeds(
    Deed(
        "keep", _("Keep this state"), _keep, "preview",
        _("The machine stays as it is being tried; what was set aside is removed for good."), "check", destroys=True,
    ),
    Deed(
        "back", _("Go back"), _back, "preview",
        _("The machine is powered off and gets what was set aside; what was written while trying is lost."), "undo",
        destroys=True,
    ),
)  # fmt: skip
class PreviewAdmin(OfMachine):
    """Machines that try out a snapshot."""

    list_display = ("machine_link", "snapshot", "was_current", "created_at")
    search_fields = ("vm__name", "snapshot__name")
    list_select_related = ("vm", "snapshot", "was_current")


@admin.register(DiskExport, site=site)
@with_deeds(
    Deed(
        "delete", _("Delete"), delete_export, "export", _("The file is removed; the disk stays as it is."), "delete",
        destroys=True,
    )
)  # fmt: skip
class DiskExportAdmin(OfMachine):
    """Files that can be downloaded on the machine's page until they are removed."""

    list_display = ("name", "machine_link", "size", "maker", "created_at", "ready_at")
    search_fields = ("name", "vm__name")
    list_select_related = ("vm", "maker")
