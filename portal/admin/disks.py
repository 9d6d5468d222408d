"""Disks that belong to no machine in the back office; attached to machines on the portal's pages."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RelatedDropdownFilter

from broker.access.actor import Actor
from broker.jobs.models import Job
from broker.virt.actions.delete_floating_disk import delete_floating_disk
from broker.virt.actions.share_disk import share_disk
from broker.virt.models import DiskShare, FloatingDisk

from .deeds import Deed, with_deeds
from .rows import Inline, Sized
from .site import site


def _share_no_more(*, actor: Actor, disk: FloatingDisk) -> Job:
    return share_disk(actor=actor, disk=disk, shared=False)


class ShareInline(Inline):
    model = DiskShare
    fields = readonly_fields = ("vm", "target", "read_only", "plugged")
    verbose_name_plural = _("Had by")


@admin.register(FloatingDisk, site=site)
@with_deeds(
    Deed(
        "share", _("Share"), share_disk, "disk",
        _("Its image is written anew as raw. A shared disk has no snapshots and is not backed up."), "share",
    ),
    Deed(
        "unshare", _("Share no more"), _share_no_more, "disk",
        _("Its image is written anew as qcow2. No machine may have it meanwhile."), "link_off",
    ),
    Deed(
        "delete", _("Delete"), delete_floating_disk, "disk",
        _("The disk and all that is stored on it is deleted."), "delete", destroys=True,
    ),
)  # fmt: skip
class FloatingDiskAdmin(Sized):
    list_display = ("name", "size", "storage", "shared", "owner", "created_at")
    list_filter = ("shared", ("storage", RelatedDropdownFilter), ("owner", RelatedDropdownFilter))
    search_fields = ("name", "volume", "owner__username")
    list_select_related = ("storage", "owner")
    inlines = (ShareInline,)
