"""Backups: the list, and what is done with one."""

from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import find, visible_to
from broker.backups.actions.delete_backup import delete_backup
from broker.backups.actions.restore_backup import restore_backup
from broker.backups.actions.verify_backup import verify_backup
from broker.backups.models import Backup
from broker.core.errors import Missing
from broker.core.text import gettext_noop as N_
from portal.templatetags.berth import bytesize
from portal.web import words
from portal.web.base import Deed, Page, done
from portal.web.listing import Column, Listing
from portal.web.parts import Cell, Row
from portal.web.words import Mark

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
            Column(_("Machine"), "vm_name"), Column(_("State"), "state"), Column(_("Kind"), "kind"),
            Column(_("Target"), "target__name"), Column(_("Size"), "size_bytes"), Column(_("Made"), "created_at"),
            Column(_("Verified"), "verified_at"),
        )  # fmt: skip
        rows = visible_to(self.actor, Backup).select_related("target")
        listing = Listing(
            self.request, rows, columns=columns, search=("vm_name", "target__name"), order="-created_at"
        )  # fmt: skip
        return {
            "title": _("Backups"),
            "empty": _("No backups yet. They are made by schedules, or one by one by the API."),
            "live_kinds": "backup",
            "listing": listing,
            "rows": [
                Row([
                    Cell(row.vm_name, reverse("portal:vm", args=[row.vm_id]) if row.vm_id else ""),
                    Cell(mark=STATES.get(row.state, words.UNKNOWN), under=row.error),
                    Cell(KINDS.get(row.kind, row.kind), under=row.reason),
                    Cell(row.target.name),
                    Cell(bytesize(row.size_bytes)),
                    Cell(moment=row.created_at),
                    Cell(moment=row.verified_at) if row.verified_at else Cell(_("never")),
                ])
                for row in listing.page
            ],
        }  # fmt: skip


class BackupDeed(Deed):
    """Verify, delete or restore one."""

    def do(self, pk: Any, verb: str) -> HttpResponse:
        backup = find(self.actor, Backup, pk)
        if verb == "verify":
            verify_backup(actor=self.actor, backup=backup)
            return done(self.request, _("The backup is being verified."))
        if verb == "delete":
            delete_backup(actor=self.actor, backup=backup)
            return done(self.request, _("The backup is being deleted."))
        if verb == "restore" and backup.vm is not None:
            restore_backup(actor=self.actor, backup=backup, vm=backup.vm)
            return done(self.request, _("The machine is being restored."))
        raise Missing(N_("There is no such action."), fix=N_("Go back and choose another."))
