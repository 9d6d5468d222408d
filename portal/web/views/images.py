"""The library of images: the list, the page of one, and the upload, which the browser does piece by piece."""

from typing import Any

from django import forms
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import find, may, require, visible_to
from broker.virt.actions.delete_image import delete_image
from broker.virt.actions.edit_image import edit_image
from broker.virt.image_use import machines_with
from broker.virt.models import Image, StorageDomain
from portal.context import holds
from portal.templatetags.berth import bytesize
from portal.web import words
from portal.web.base import Deed, Page, done
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm
from portal.web.image_words import proposal_of
from portal.web.listing import Column, Filter, Listing
from portal.web.parts import Action, Cell, Pair, Related, Row, jobs_of, recent_events
from portal.web.words import Mark

from .backups import job_notices
from .inventory import MOST_RELATED

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
            "second_url": reverse("portal:image-fetch") if holds(self.actor, "image.manage") else "",
            "second_label": _("Fetch an image"),
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
                *([Pair(_("Proposes"), proposal_of(row))] if row.proposal else []),
                *([Pair("SHA-256", row.sha256)] if row.sha256 else []),
                *([Pair(_("Fetched from"), row.url)] if row.url else []),
                Pair(_("Made"), moment=row.created_at),
            ],
            "relateds": [self._users(row)],
            "events": recent_events("image", row.pk, self.actor),
        }

    def _users(self, row: Image) -> Related:
        machines = visible_to(self.actor, machines_with(row))
        rows = [Row([Cell(vm.title or vm.name, reverse("portal:vm", args=[vm.pk]))]) for vm in machines[:MOST_RELATED]]
        return Related(_("In the drives of"), [_("Machine")], rows, _("No machine: it can be deleted."))

    def _actions(self, row: Image) -> list[Action]:
        if row.state == "deleting" or not may(self.actor, "image.manage", row):
            return []
        label = _("Cancel the upload") if row.state == "uploading" else _("Delete")
        text = _("The image is removed for good. Machines made from it have copies of their own and stay.")
        edit = Action(_("Edit"), reverse("portal:image-edit", args=[row.pk]), "edit", link=True)
        return [edit, Action(label, reverse("portal:image-delete", args=[row.pk]), "trash", danger=True, confirm=text)]


class ImageForm(StyledForm):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=64)
    description = forms.CharField(
        label=gettext_lazy("Description"), max_length=10_000, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )


class EditImage(FormPage):
    def form(self, data: Any, pk: Any) -> ImageForm:
        row = find(self.actor, Image, pk, "image.manage")
        return ImageForm(data, initial={"name": row.name, "description": row.description})

    def make(self, values: dict[str, Any], pk: Any) -> str:
        edit_image(actor=self.actor, image=find(self.actor, Image, pk), **values)
        return reverse("portal:image", args=[pk])

    def words(self, pk: Any) -> dict[str, Any]:
        row = find(self.actor, Image, pk)
        return {
            "title": _("Edit %(name)s") % {"name": row.name},
            "submit": _("Save"),
            "back_url": reverse("portal:image", args=[pk]),
            "back_label": row.name,
        }


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
            "under": _("A CD (ISO) or a disk: qcow2, raw, VMDK, VDI or OVA. It may break off and be gone on with."),
            "back_url": reverse("portal:images"),
            "back_label": _("Images"),
            "storages": visible_to(self.actor, StorageDomain, "image.manage"),
            "kinds": list(KINDS.items()),
        }


def _share(row: Image) -> str:
    if row.state != "uploading":
        return ""
    return f"{row.received_bytes * 100 // max(row.size_bytes, 1)} %"
