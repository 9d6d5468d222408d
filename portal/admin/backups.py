"""Backups, their targets and schedules in the back office; made and restored on the portal's pages."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter

from broker.access.actor import Actor
from broker.backups.actions.delete_backup import delete_backup
from broker.backups.actions.delete_schedule import delete_schedule
from broker.backups.actions.delete_target import delete_target
from broker.backups.actions.restore_backup import restore_backup
from broker.backups.actions.verify_backup import verify_backup
from broker.backups.models import Backup, BackupDisk, BackupSchedule, BackupTarget
from broker.core.errors import Missing
from broker.core.text import gettext_noop as N_
from broker.jobs.models import Job

from .deeds import Deed, with_deeds
from .rows import AMBER, BLUE, GREEN, RED, Inline, Rows, Sized, life
from .site import site


def _put_back(*, actor: Actor, backup: Backup) -> Job:
    if backup.vm is None:
        raise Missing(N_("The machine of this backup is gone."), fix=N_("Restore it as a new machine."))
    return restore_backup(actor=actor, backup=backup, vm=backup.vm)


class DiskInline(Inline):
    model = BackupDisk
    fields = readonly_fields = ("target", "volume", "capacity_bytes", "size_bytes", "sha256")


@admin.register(Backup, site=site)
@with_deeds(
    Deed(
        "verify", _("Verify"), verify_backup, "backup",
        _("Its files are read, compared and restored into a scratch image."), "verified",
    ),
    Deed(
        "put_back", _("Put back"), _put_back, "backup",
        _("The machine is powered off and its disks become what they were; what was written since is lost."),
        "settings_backup_restore", destroys=True,
    ),
    Deed("delete", _("Delete"), delete_backup, "backup", _("Its files are removed for good."), "delete", destroys=True),
)  # fmt: skip
class BackupAdmin(Sized):
    list_display = ("vm_name", "created_at", "life", "kind", "target", "size", "verified_at")
    list_filter = (("state", ChoicesDropdownFilter), ("kind", ChoicesDropdownFilter), ("target", RelatedDropdownFilter))
    search_fields = ("vm_name",)
    list_select_related = ("target",)
    exclude = ("hardware",)
    inlines = (DiskInline,)

    life = life({"ready": GREEN, "making": BLUE, "deleting": AMBER, "broken": RED})


@admin.register(BackupTarget, site=site)
@with_deeds(
    Deed(
        "delete", _("Delete"), delete_target, "target", _("Berth forgets it. Refused while it holds backups."),
        "delete", destroys=True,
    )
)  # fmt: skip
class BackupTargetAdmin(Rows):
    list_display = ("name", "cluster", "storage", "host", "path")
    list_filter = (("cluster", RelatedDropdownFilter),)
    search_fields = ("name", "path")
    list_select_related = ("cluster", "storage", "host")


@admin.register(BackupSchedule, site=site)
@with_deeds(
    Deed(
        "delete", _("Delete"), delete_schedule, "schedule", _("It is removed; the backups it made stay."), "delete",
        destroys=True,
    )
)  # fmt: skip
class BackupScheduleAdmin(Rows):
    list_display = ("name", "target", "enabled", "at", "zone", "next_run_at", "last_run_at")
    list_filter = ("enabled", ("target", RelatedDropdownFilter))
    search_fields = ("name",)
    list_select_related = ("target",)
