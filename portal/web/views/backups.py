"""Backups: the list, the page of one, and those of a machine."""

from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import find, may, visible_to
from broker.backups.actions.delete_backup import delete_backup
from broker.backups.actions.verify_backup import verify_backup
from broker.backups.models import Backup
from broker.backups.queries import backups_of, schedules_for
from broker.backups.states import BACKUP
from broker.core.errors import Missing
from broker.core.text import gettext_noop as N_
from broker.jobs.models import Job
from broker.virt.models import VirtualMachine
from portal.context import holds
from portal.templatetags.berth import bytesize
from portal.web import words
from portal.web.base import Deed, Page, done
from portal.web.listing import Column, Filter, Listing
from portal.web.parts import Action, Cell, Notice, Pair, Related, Row, jobs_of, recent_events
from portal.web.words import Mark

MOST = 100
STATES = {
    "making": Mark(gettext_lazy("Being made"), "busy"),
    "ready": Mark(gettext_lazy("Whole"), "good"),
    "broken": Mark(gettext_lazy("Broken"), "bad"),
    "deleting": Mark(gettext_lazy("Being deleted"), "busy"),
}
KINDS = {"full": gettext_lazy("Full"), "incremental": gettext_lazy("What changed")}


class Backups(Page):
    template = "portal/manage/table.html"

    def content(self) -> dict[str, Any]:
        columns = (
            Column(_("Machine"), "vm_name"), Column(_("Made"), "created_at"), Column(_("State"), "state"),
            Column(_("Kind"), "kind"), Column(_("Target"), "target__name"), Column(_("Size"), "size_bytes"),
            Column(_("Verified"), "verified_at"),
        )  # fmt: skip
        states = Filter("state", _("State"), "state", [(state, mark.word) for state, mark in STATES.items()])
        kinds = Filter("kind", _("Kind"), "kind", list(KINDS.items()))
        rows = visible_to(self.actor, Backup).select_related("target")
        listing = Listing(
            self.request, rows, columns=columns, search=("vm_name", "target__name"), filters=(states, kinds),
            order="-created_at",
        )  # fmt: skip
        return {
            "title": _("Backups"),
            "empty": _("A backup is made on the page of its machine, or by a schedule."),
            "live_kinds": "backup",
            "new_url": reverse("portal:backup-setup") if holds(self.actor, "backup.manage") else "",
            "new_label": _("Schedules and targets"),
            "listing": listing,
            "rows": [
                Row([
                    Cell(row.vm_name, reverse("portal:backup", args=[row.pk])),
                    Cell(moment=row.created_at),
                    Cell(mark=STATES.get(row.state, words.UNKNOWN), under=row.error),
                    Cell(KINDS.get(row.kind, row.kind), under=_(row.reason) if row.reason else ""),
                    Cell(row.target.name),
                    Cell(bytesize(row.size_bytes)),
                    Cell(moment=row.verified_at) if row.verified_at else Cell(_("never")),
                ])
                for row in listing.page
            ],
        }  # fmt: skip


class BackupOne(Page):
    template = "portal/manage/detail.html"

    def content(self, pk: Any) -> dict[str, Any]:
        row = find(self.actor, Backup, pk)
        job = jobs_of("backup", [row.pk]).get(row.pk) or jobs_of("vm", [row.vm_key]).get(row.vm_key)
        return {
            "title": _("Backup of %(name)s") % {"name": row.vm_name},
            "mark": STATES.get(row.state, words.UNKNOWN),
            "under": _(row.reason) if row.reason else "",
            "notices": [*job_notices(job), *_troubles(row)],
            "back_url": reverse("portal:backups"),
            "back_label": _("Backups"),
            "live_kinds": f"backup:{row.pk} job",
            "actions": self._actions(row),
            "details": [
                Pair(_("Machine"), row.vm_name, url=reverse("portal:vm", args=[row.vm_id]) if row.vm_id else ""),
                Pair(_("Made"), moment=row.created_at),
                Pair(_("Kind"), KINDS.get(row.kind, row.kind)),
                Pair(_("Target"), row.target.name),
                Pair(_("Size"), bytesize(row.size_bytes)),
                Pair(_("Made while it ran"), _("yes") if row.live else _("no")),
                Pair(_("File systems settled"), _("yes") if row.quiesced else _("no")),
                Pair(_("Verified"), moment=row.verified_at) if row.verified_at else Pair(_("Verified"), _("never")),
                *([_built_on(row.parent)] if row.parent else []),
            ],
            "relateds": [_files(row)],
            "events": recent_events("backup", row.pk, self.actor),
        }

    def _actions(self, row: Backup) -> list[Action]:
        usable = BACKUP.is_(row.state, "usable")
        found = []
        if usable and may(self.actor, "backup.restore", row):
            if row.vm_id:
                found.append(_link(_("Put back"), "backup-restore", row, "rotate-clockwise"))
            found.append(_link(_("Restore as new"), "backup-restore-new", row, "plus"))
        if may(self.actor, "backup.manage", row):
            if BACKUP.is_(row.state, "checkable"):
                found.append(Action(_("Verify"), _deed(row, "verify"), "check"))
            if BACKUP.is_(row.state, "deletable"):
                text = _("Its files are removed for good. Refused while later backups build on it.")
                found.append(Action(_("Delete"), _deed(row, "delete"), "trash", danger=True, confirm=text))
        return found


class MachineBackups(Page):
    """What there is of one machine, for those who see the machine."""

    template = "portal/manage/detail.html"

    def content(self, pk: Any) -> dict[str, Any]:
        vm = find(self.actor, VirtualMachine, pk)
        name = vm.title or vm.name
        job = jobs_of("vm", [vm.pk]).get(vm.pk)
        rows = list(backups_of(self.actor, vm)[:MOST])
        able = vm.state == "ready" and not job and may(self.actor, "vm.backup", vm)
        schedules = list(schedules_for(self.actor).filter(vms=vm))
        return {
            "title": _("Backups of %(name)s") % {"name": name},
            "mark": words.machine_mark(vm, job),
            "notices": job_notices(job),
            "back_url": reverse("portal:vm", args=[vm.pk]),
            "back_label": name,
            "live_kinds": f"vm:{vm.pk} backup job",
            "actions": [_link(_("Back up now"), "backup-new", vm, "plus")] if able else [],
            "details": [
                Pair(_("Backups"), str(len(rows))),
                Pair(_("Size"), bytesize(sum(row.size_bytes for row in rows))),
                *(Pair(_("Schedule"), one.name) for one in schedules),
                *(Pair(_("Next"), moment=one.next_run_at) for one in schedules if one.next_run_at),
            ],
            "relateds": [
                Related(
                    _("Backups"), [_("Made"), _("State"), _("Kind"), _("Target"), _("Size")],
                    [
                        Row([
                            Cell(
                                f"{row.created_at:%Y-%m-%d %H:%M}", reverse("portal:backup", args=[row.pk]),
                                under=_(row.reason) if row.reason else "",
                            ),
                            Cell(mark=STATES.get(row.state, words.UNKNOWN), under=row.error),
                            Cell(KINDS.get(row.kind, row.kind)),
                            Cell(row.target.name),
                            Cell(bytesize(row.size_bytes)),
                        ])
                        for row in rows
                    ],
                    _("None was made yet."),
                )
            ],
            "events": recent_events("vm", vm.pk, self.actor),
        }  # fmt: skip


class BackupDeed(Deed):
    """Verify or delete one."""

    def do(self, pk: Any, verb: str) -> HttpResponse:
        backup = find(self.actor, Backup, pk)
        if verb == "verify":
            verify_backup(actor=self.actor, backup=backup)
            return done(self.request, _("The backup is being verified."))
        if verb == "delete":
            delete_backup(actor=self.actor, backup=backup)
            return done(self.request, _("The backup is being deleted."), to=reverse("portal:backups"), leave=True)
        raise Missing(N_("There is no such action."), fix=N_("Go back and choose another."))


def job_notices(job: Job | None) -> list[Notice]:
    """What is under way, and how far it is."""
    if job is None:
        return []
    text = _("%(job)s: %(text)s") % {"job": _(job.title), "text": job.text} if job.text else _(job.title)
    return [Notice(f"{text} ({job.progress} %)" if job.progress else text, tone="idle", icon="history")]


def _troubles(row: Backup) -> list[Notice]:
    if not row.error:
        return []
    return [Notice(row.error, _("It is not restored from. Make another one, and look at the target."), "bad")]


def _built_on(parent: Backup) -> Pair:
    return Pair(_("Builds on"), f"{parent.created_at:%Y-%m-%d %H:%M}", url=reverse("portal:backup", args=[parent.pk]))


def _files(row: Backup) -> Related:
    rows = [
        Row([Cell(disk.target), Cell(bytesize(disk.capacity_bytes)), Cell(bytesize(disk.size_bytes)),
             Cell(disk.volume, under=disk.sha256)])
        for disk in row.disks.all()
    ]  # fmt: skip
    return Related(_("Disks"), [_("Disk"), _("Size"), _("Used"), _("File and its SHA-256")], rows, _("None."))


def _link(label: str, name: str, row: Any, icon: str) -> Action:
    return Action(label, reverse(f"portal:{name}", args=[row.pk]), icon, link=True)


def _deed(row: Backup, verb: str) -> str:
    return reverse("portal:backup-deed", args=[row.pk, verb])
