"""Storage: the list, and the page of one with the machines whose disks lie there."""

from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import find, may, visible_to
from broker.core.errors import Missing
from broker.core.text import gettext_noop as N_
from broker.virt.actions.activate_storage import activate_storage
from broker.virt.actions.maintain_storage import maintain_storage
from broker.virt.models import StorageDomain, VirtualMachine
from broker.virt.states import STORAGE
from portal.context import holds
from portal.templatetags.berth import bytesize, share
from portal.web import words
from portal.web.access_page import permission_actions
from portal.web.base import Deed, Page, done
from portal.web.listing import Column, Listing
from portal.web.parts import Action, Cell, Notice, Pair, Row, recent_events
from portal.web.words import Mark

from .inventory import MOST_RELATED, machines_on
from .removals import storage_removal


class Storage(Page):
    template = "portal/manage/table.html"

    def content(self) -> dict[str, Any]:
        columns = (
            Column(_("Name"), "name"), Column(_("State"), "state"), Column(_("Kind"), "kind"),
            Column(_("Cluster"), "cluster__name"),
            Column(_("Used")), Column(_("Free"), "available_bytes"), Column(_("Seen"), "observed_at"),
        )  # fmt: skip
        rows = visible_to(self.actor, StorageDomain).select_related("cluster")
        listing = Listing(
            self.request, rows, columns=columns, search=("name", "path", "server", "export"), order="name"
        )
        return {
            "title": _("Storage"),
            "empty": _("Disks and images live here. Add storage before the first machine."),
            "live_kinds": "storage",
            "new_url": reverse("portal:storage-new") if holds(self.actor, "storage.manage") else "",
            "new_label": _("New storage"),
            "listing": listing,
            "rows": [
                Row([
                    Cell(row.name, reverse("portal:storage-one", args=[row.pk]), under=_where(row)),
                    Cell(mark=storage_mark(row), under=row.error),
                    Cell(row.get_kind_display()),
                    Cell(row.cluster.name),
                    Cell(percent=_used(row), label=_("Use of %(name)s") % {"name": row.name}),
                    Cell(bytesize(row.available_bytes)),
                    Cell(moment=row.observed_at) if row.observed_at else Cell(_("never")),
                ])
                for row in listing.page
            ],
        }  # fmt: skip


class StorageOne(Page):
    template = "portal/manage/detail.html"

    def content(self, pk: Any) -> dict[str, Any]:
        row = find(self.actor, StorageDomain, pk)
        machines = visible_to(self.actor, VirtualMachine).filter(disks__storage=row).distinct()[:MOST_RELATED]
        return {
            "title": row.name,
            "mark": storage_mark(row),
            "under": _where(row),
            "notices": [Notice(_("This storage cannot be reached: %(error)s") % {"error": row.error}, tone="bad")]
            if row.error
            else [],
            "back_url": reverse("portal:storage"),
            "back_label": _("Storage"),
            "live_kinds": f"storage:{row.pk}",
            "actions": [
                *permission_actions(self.actor, "storage", row),
                *(_storage_actions(row) if may(self.actor, "storage.manage", row) else []),
            ],
            "details": [
                Pair(_("Kind"), row.get_kind_display()),
                Pair(_("Cluster"), row.cluster.name),
                *([Pair(_("Share"), _where(row))] if row.server else []),
                Pair(_("Path on the hosts"), row.path),
                Pair(_("Size"), bytesize(row.capacity_bytes)),
                Pair(_("Free"), bytesize(row.available_bytes)),
                Pair(_("Used"), f"{_used(row)} %"),
                Pair(_("Seen"), moment=row.observed_at) if row.observed_at else Pair(_("Seen"), _("never")),
            ],
            "relateds": [machines_on(machines)],
            "events": recent_events("storage", row.pk),
        }


class StorageDeed(Deed):
    """Put a storage into maintenance, or back into use."""

    VERBS = {
        "maintain": (maintain_storage, gettext_lazy("Nothing is made on this storage any more.")),
        "activate": (activate_storage, gettext_lazy("This storage is used again.")),
    }

    def do(self, pk: Any, verb: str) -> HttpResponse:
        storage = find(self.actor, StorageDomain, pk)
        if verb not in self.VERBS:
            raise Missing(N_("There is no such action."), fix=N_("Go back and choose another."))
        action, told = self.VERBS[verb]
        action(actor=self.actor, storage=storage)
        return done(self.request, told)


def storage_mark(row: StorageDomain) -> Mark:
    """A storage that cannot be reached says so, whatever an admin wants of it."""
    return Mark(_("Not reachable"), "bad") if row.error else words.STORAGE.get(row.state, words.UNKNOWN)


def _where(row: StorageDomain) -> str:
    return f"{row.server}:{row.export}" if row.server else row.path


def _storage_actions(row: StorageDomain) -> list[Action]:
    edit = Action(_("Edit"), reverse("portal:storage-edit", args=[row.pk]), "edit", link=True)
    if STORAGE.is_(row.state, "usable"):
        text = _("Nothing is made on it and no machine is started from it any more. Refused while machines use it.")
        wish = Action(_("Maintenance"), _deed(row, "maintain"), "settings", confirm=text)
    else:
        wish = Action(_("Back into use"), _deed(row, "activate"), "player-play")
    return [edit, wish, storage_removal(row)]


def _deed(row: StorageDomain, verb: str) -> str:
    return reverse("portal:storage-deed", args=[row.pk, verb])


def _used(row: StorageDomain) -> int:
    return share(row.capacity_bytes - row.available_bytes, row.capacity_bytes)
