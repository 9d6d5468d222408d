"""Storage: the list, and the page of one with the machines whose disks lie there."""

from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.actor import Actor
from broker.access.require import find, may, visible_to
from broker.core.errors import Missing
from broker.core.text import gettext_noop as N_
from broker.virt import storage_found
from broker.virt.actions.activate_storage import activate_storage
from broker.virt.actions.detach_storage import detach_storage
from broker.virt.actions.import_found import import_found
from broker.virt.actions.maintain_storage import maintain_storage
from broker.virt.actions.take_storage import take_storage
from broker.virt.models import StorageDomain, VirtualMachine
from broker.virt.nfs_options import words as words_of
from broker.virt.states import STORAGE
from broker.virt.storage_notes import holder
from portal.context import holds
from portal.templatetags.berth import bytesize, share
from portal.web import words
from portal.web.access_page import permission_actions
from portal.web.base import Deed, Page, done
from portal.web.listing import Column, Listing
from portal.web.parts import Action, Cell, Notice, Pair, Related, Row, recent_events
from portal.web.words import Mark

from .inventory import MOST_RELATED, machines_on
from .leftovers import leftovers, look_action
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
            "second_url": reverse("portal:luns"),
            "second_label": _("Look for LUNs"),
            "listing": listing,
            "rows": [
                Row([
                    Cell(row.name, reverse("portal:storage-one", args=[row.pk]), under=_where(row)),
                    Cell(mark=storage_mark(row), under=row.error),
                    Cell(words.STORAGE_KIND.get(row.kind, row.kind)),
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
            "notices": _notices(row),
            "back_url": reverse("portal:storage"),
            "back_label": _("Storage"),
            "live_kinds": f"storage:{row.pk}",
            "actions": [
                *permission_actions(self.actor, "storage", row),
                *(_storage_actions(row) if may(self.actor, "storage.manage", row) else []),
            ],
            "details": [
                Pair(_("Kind"), words.STORAGE_KIND.get(row.kind, row.kind)),
                Pair(_("Cluster"), row.cluster.name),
                *_place(row),
                Pair(_("Size"), bytesize(row.capacity_bytes)),
                Pair(_("Free"), bytesize(row.available_bytes)),
                Pair(_("Used"), f"{_used(row)} %"),
                Pair(
                    _("Warning, critical"),
                    _("below %(warning)d %%, %(critical)d %% free")
                    % {"warning": row.warning_percent, "critical": row.critical_percent},
                ),
                Pair(_("What is deleted"), _("is overwritten first") if row.wipe_after_delete else _("is removed")),
                Pair(_("Seen"), moment=row.observed_at) if row.observed_at else Pair(_("Seen"), _("never")),
            ],
            "relateds": [
                *_found(self.actor, row),
                machines_on(machines),
                *([leftovers(row)] if may(self.actor, "storage.manage", row) else []),
            ],
            "events": recent_events("storage", row.pk),
        }


class StorageDeed(Deed):
    """Put a storage into maintenance, or back into use."""

    VERBS = {
        "take-over": (take_storage, gettext_lazy("The storage is used by this Berth now.")),
        "detach": (detach_storage, gettext_lazy("The storage is being let go.")),
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
    if row.error:
        return Mark(_("Not reachable"), "bad")
    if row.level != "ok" and row.state == "active":
        return Mark(_("Full"), "bad") if row.level == "critical" else Mark(_("Nearly full"), "warn")
    return words.STORAGE.get(row.state, words.UNKNOWN)


def _where(row: StorageDomain) -> str:
    if row.kind == StorageDomain.Kind.ISCSI:
        return row.export
    return f"{row.server}:{row.export}" if row.server else row.path


def _place(row: StorageDomain) -> list[Pair]:
    if row.kind == StorageDomain.Kind.ISCSI:
        return [
            Pair(_("Target"), row.export),
            Pair(_("Portals"), row.server.replace(",", ", ")),
            Pair(_("LUNs"), ", ".join(map(str, row.luns)) or _("all")),
            Pair(_("CHAP user"), row.user or "–"),
        ]
    mounted = Pair(_("Mounted with"), ", ".join(words_of(row.mount)))
    share = [Pair(_("Share"), _where(row)), mounted] if row.server else []
    return [*share, Pair(_("Path on the hosts"), row.path)]


def _storage_actions(row: StorageDomain) -> list[Action]:
    edit = Action(_("Edit"), reverse("portal:storage-edit", args=[row.pk]), "edit", link=True)
    if STORAGE.is_(row.state, "usable"):
        text = _("Nothing is made on it and no machine is started from it any more. Refused while machines use it.")
        wish = Action(_("Maintenance"), _deed(row, "maintain"), "settings", confirm=text)
        empty = Action(_("Empty it"), reverse("portal:storage-evacuate", args=[row.pk]), "logout", link=True)
    else:
        wish = Action(_("Back into use"), _deed(row, "activate"), "player-play")
    if row.held_by:
        text = _("Two Berths on one storage destroy its disks. Do this only when the other one is gone for good.")
        wish = Action(_("Take over"), _deed(row, "take-over"), "lock", danger=True, confirm=text)
    if STORAGE.is_(row.state, "usable"):
        return [edit, *([] if row.held_by else [empty, look_action(row)]), wish, storage_removal(row)]
    text = _("Its machines and templates go with it: Berth forgets them, and another Berth can import them.")
    detach = Action(_("Detach"), _deed(row, "detach"), "arrow-left", danger=True, confirm=text)
    return [edit, wish, detach, storage_removal(row)]


class ImportFound(Deed):
    """Take in one thing that was found on the storage."""

    def do(self, pk: Any, found: Any) -> HttpResponse:
        row = import_found(actor=self.actor, storage=find(self.actor, StorageDomain, pk), found=found)
        return done(self.request, _("%(name)s was imported.") % {"name": row})


def _notices(row: StorageDomain) -> list[Notice]:
    notices = []
    if row.level == "critical":
        text = _("Nothing new is put on this storage: less than %(percent)s %% of it is free.")
        fix = _("Move disks to another storage, delete what is not needed, or set the level lower.")
        notices.append(Notice(text % {"percent": row.critical_percent}, fix, "bad"))
    elif row.level == "warning":
        text = _("Less than %(percent)s %% of this storage is free.")
        notices.append(Notice(text % {"percent": row.warning_percent}, _("Make room before it is full.")))
    if row.held_by:
        text = _("This storage belongs to another Berth (%(holder)s) and is not used.") % {"holder": holder(row.found)}
        fix = _("Detach it there, or take it over when that Berth is gone for good.")
        notices.append(Notice(text, fix, tone="bad"))
    if row.error:
        notices.append(Notice(_("This storage cannot be reached: %(error)s") % {"error": row.error}, tone="bad"))
    return notices


def _found(actor: Actor, row: StorageDomain) -> list[Related]:
    """What could be imported, for those who may."""
    if not may(actor, "storage.manage", row) or row.held_by or not (found := storage_found.on(row)):
        return []
    kinds = {"vm": _("Machine"), "template-version": _("Template")}
    return [
        Related(
            _("Found on this storage"),
            [_("Name"), _("Kind")],
            [
                Row(
                    [Cell(one.name), Cell(kinds[one.kind])],
                    [Action(
                        _("Import %(name)s") % {"name": one.name},
                        reverse("portal:storage-import", args=[row.pk, one.id]), "plus",
                    )],
                )
                for one in found[:MOST_RELATED]
            ],
            acting=True,
        )
    ]  # fmt: skip


def _deed(row: StorageDomain, verb: str) -> str:
    return reverse("portal:storage-deed", args=[row.pk, verb])


def _used(row: StorageDomain) -> int:
    return share(row.capacity_bytes - row.available_bytes, row.capacity_bytes)
