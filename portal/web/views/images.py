"""The library of images: the list, the page of one, and the upload, which the browser does piece by piece."""

from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import find, may, require, visible_to
from broker.virt.actions.delete_image import delete_image
from broker.virt.models import Image, StorageDomain
from portal.context import holds
from portal.templatetags.berth import bytesize
from portal.web import words
from portal.web.base import Deed, Page, done
from portal.web.listing import Column, Filter, Listing
from portal.web.parts import Action, Cell, Pair, Row, jobs_of, recent_events
from portal.web.words import Mark

from .backups import job_notices

STATES = {
    "uploading": Mark(gettext_lazy("Being uploaded"), "busy"),
    "importing": Mark(gettext_lazy("Being looked at"), "busy"),
    "ready": Mark(gettext_lazy("Ready"), "good"),
    "deleting": Mark(gettext_lazy("Being deleted"), "busy"),
}
KINDS = {"iso": gettext_lazy("CD"), "disk": gettext_lazy("Disk")}


class Images(Page):
    template = "portal/manage/table.html"

    def content(self) -> dict[str, Any]:
        columns = (
            Column(_("Name"), "name"), Column(_("Kind"), "kind"), Column(_("State"), "state"),
            Column(_("Storage"), "storage__name"), Column(_("Size"), "size_bytes"), Column(_("Made"), "created_at"),
        )  # fmt: skip
        listing = Listing(
            self.request, visible_to(self.actor, Image).select_related("storage"), columns=columns,
            search=("name", "description"), order="name",
            filters=(
                Filter("kind", _("Kind"), "kind", list(KINDS.items())),
                Filter("state", _("State"), "state", [(state, mark.word) for state, mark in STATES.items()]),
            ),
        )  # fmt: skip
        return {
            "title": _("Images"),
            "empty": _("CDs and disks that are uploaded here become machines."),
            "live_kinds": "image job",
            "new_url": reverse("portal:image-upload") if holds(self.actor, "image.manage") else "",
            "new_label": _("Upload an image"),
            "listing": listing,
            "rows": [
                Row([
                    Cell(row.name, reverse("portal:image", args=[row.pk])),
                    Cell(KINDS[row.kind]),
                    Cell(mark=STATES.get(row.state, words.UNKNOWN), under=_share(row)),
                    Cell(row.storage.name),
                    Cell(bytesize(row.size_bytes)),
                    Cell(moment=row.created_at),
                ])
                for row in listing.page
            ],
        }  # fmt: skip


class ImageOne(Page):
    template = "portal/manage/detail.html"

    def content(self, pk: Any) -> dict[str, Any]:
        row = find(self.actor, Image, pk)
        return {
            "title": row.name,
            "mark": STATES.get(row.state, words.UNKNOWN),
            "under": row.description,
            "notices": job_notices(jobs_of("image", [row.pk]).get(row.pk)),
            "back_url": reverse("portal:images"),
            "back_label": _("Images"),
            "live_kinds": f"image:{row.pk} job",
            "actions": self._actions(row),
            "details": [
                Pair(_("Kind"), KINDS[row.kind]),
                Pair(_("Storage"), row.storage.name, url=reverse("portal:storage-one", args=[row.storage_id])),
                Pair(_("Size of the file"), bytesize(row.size_bytes)),
                *([Pair(_("Uploaded"), _share(row))] if row.state == "uploading" else []),
                *([Pair(_("Size for a guest"), bytesize(row.capacity_bytes))] if row.capacity_bytes else []),
                *([Pair(_("Uploaded as"), row.get_format_display())] if row.format else []),
                *([Pair("SHA-256", row.sha256)] if row.sha256 else []),
                Pair(_("Made"), moment=row.created_at),
            ],
            "relateds": [],
            "events": recent_events("image", row.pk, self.actor),
        }

    def _actions(self, row: Image) -> list[Action]:
        if row.state == "deleting" or not may(self.actor, "image.manage", row):
            return []
        label = _("Cancel the upload") if row.state == "uploading" else _("Delete")
        text = _("The image is removed for good. Machines made from it have copies of their own and stay.")
        return [Action(label, reverse("portal:image-delete", args=[row.pk]), "trash", danger=True, confirm=text)]


class DeleteImage(Deed):
    def do(self, pk: Any) -> HttpResponse:
        delete_image(actor=self.actor, image=find(self.actor, Image, pk))
        return done(self.request, _("The image is being deleted."), to=reverse("portal:images"), leave=True)


class Upload(Page):
    template = "portal/manage/upload.html"

    def content(self) -> dict[str, Any]:
        if not holds(self.actor, "image.manage"):
            require(self.actor, "image.manage")
        return {
            "title": _("Upload an image"),
            "under": _("A CD (ISO) or a disk: qcow2, raw, VMDK or VDI. It may break off and be gone on with."),
            "back_url": reverse("portal:images"),
            "back_label": _("Images"),
            "storages": visible_to(self.actor, StorageDomain, "image.manage"),
            "kinds": list(KINDS.items()),
        }


def _share(row: Image) -> str:
    if row.state != "uploading":
        return ""
    return f"{row.received_bytes * 100 // max(row.size_bytes, 1)} %"
