"""Fetching an image from a server, and the list of servers that is allowed from."""

from typing import Any

from django import forms
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import may, require, visible_to
from broker.connections.finding import found
from broker.virt.actions.create_image_source import create_image_source
from broker.virt.actions.delete_image_source import delete_image_source
from broker.virt.actions.edit_image_source import edit_image_source
from broker.virt.actions.fetch_image import fetch_image
from broker.virt.image_sources import LONGEST_URL, MOST_GIB, image_sources
from broker.virt.models import ImageSource, StorageDomain
from portal.web.base import Deed, Page, done
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm, offer
from portal.web.listing import Column, Listing
from portal.web.parts import Action, Cell, Row


class FetchForm(StyledForm):
    url = forms.CharField(
        label=gettext_lazy("Address"), max_length=LONGEST_URL,
        help_text=gettext_lazy("Begins with https://, on a server of the list."),
    )  # fmt: skip
    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=64, help_text=gettext_lazy("Letters, digits, dots and hyphens.")
    )
    kind = forms.ChoiceField(
        label=gettext_lazy("Kind"), choices=[("disk", gettext_lazy("Disk")), ("iso", gettext_lazy("CD"))]
    )
    storage = forms.ModelChoiceField(label=gettext_lazy("Storage"), queryset=StorageDomain.objects.none())
    sha256 = forms.CharField(
        label="SHA-256", max_length=64, required=False, help_text=gettext_lazy("Checked before the image is used.")
    )


class SourceForm(StyledForm):
    private = forms.BooleanField(
        label=gettext_lazy("A private server"), required=False,
        help_text=gettext_lazy("It may have an address that is not of the public internet."),
    )  # fmt: skip
    most_gib = forms.IntegerField(
        label=gettext_lazy("Most GiB of an image"), min_value=1, max_value=MOST_GIB, initial=50
    )
    ca = forms.CharField(
        label=gettext_lazy("Certificates that sign its own"), required=False, max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 4}), help_text=gettext_lazy("In PEM; empty: those the system trusts."),
    )  # fmt: skip


class NewSourceForm(SourceForm):
    host = forms.CharField(
        label=gettext_lazy("Server"), max_length=253, help_text=gettext_lazy("Its name, like cloud.debian.org.")
    )
    port = forms.IntegerField(label=gettext_lazy("Port"), min_value=1, max_value=65535, initial=443)
    field_order = ("host", "port", "private", "most_gib", "ca")


class Fetch(FormPage):
    verb = "image.manage"

    def form(self, data: Any) -> FetchForm:
        form = FetchForm(data)
        offer(form, "storage", visible_to(self.actor, StorageDomain, "image.manage"))
        return form

    def make(self, values: dict[str, Any]) -> str:
        job = fetch_image(actor=self.actor, **values)
        return reverse("portal:image", args=[job.subject_id])

    def words(self) -> dict[str, Any]:
        servers = ", ".join(str(one) for one in image_sources(self.actor)[:20])
        listed = _("Images are fetched from: %(servers)s.") % {"servers": servers}
        return {
            "title": _("Fetch an image"),
            "under": listed if servers else _("No server is on the list yet; an administrator puts them there."),
            "submit": _("Fetch it"),
            "back_url": reverse("portal:images"),
            "back_label": _("Images"),
        }


class Sources(Page):
    template = "portal/manage/table.html"

    def content(self) -> dict[str, Any]:
        able = may(self.actor, "system.manage")
        columns = (
            Column(_("Server"), "host"), Column(_("Address")), Column(_("Certificate")), Column(_("Most of an image")),
            Column(_("Since"), "created_at"), *([Column("")] if able else []),
        )  # fmt: skip
        listing = Listing(
            self.request, image_sources(self.actor), columns=columns, search=("host",), order="host"
        )  # fmt: skip
        return {
            "title": _("Servers for images"),
            "under": _("Images are fetched from these alone, by HTTPS."),
            "empty": _("None yet: images are uploaded."),
            "new_url": reverse("portal:image-source-new") if able else "",
            "new_label": _("Allow a server"),
            "live_kinds": "image-source",
            "acting": able,
            "listing": listing,
            "rows": [
                Row(
                    [
                        Cell(str(row)),
                        Cell(_("may be private") if row.private else _("of the public internet")),
                        Cell(_("signed by its own") if row.ca else _("as the system trusts")),
                        Cell(f"{row.most_gib} GiB"),
                        Cell(moment=row.created_at),
                    ],
                    _actions(row) if able else (),
                )
                for row in listing.page
            ],
        }


def _actions(row: ImageSource) -> list[Action]:
    text = _("Nothing is fetched from %(source)s any more. What was fetched stays.") % {"source": row}
    return [
        Action(_("Edit"), reverse("portal:image-source-edit", args=[row.pk]), "edit", link=True),
        Action(_("Remove"), reverse("portal:image-source-delete", args=[row.pk]), "trash", True, text),
    ]


class NewSource(FormPage):
    verb = "system.manage"

    def form(self, data: Any) -> NewSourceForm:
        return NewSourceForm(data)

    def make(self, values: dict[str, Any]) -> str:
        create_image_source(actor=self.actor, **values)
        return reverse("portal:image-sources")

    def words(self) -> dict[str, Any]:
        return _words(_("Allow a server"))


class EditSource(FormPage):
    def form(self, data: Any, pk: Any) -> SourceForm:
        row = self._source(pk)
        return SourceForm(data, initial={name: getattr(row, name) for name in SourceForm.base_fields})

    def make(self, values: dict[str, Any], pk: Any) -> str:
        edit_image_source(actor=self.actor, source=self._source(pk), **values)
        return reverse("portal:image-sources")

    def words(self, pk: Any) -> dict[str, Any]:
        return _words(_("Edit %(name)s") % {"name": self._source(pk)})

    def _source(self, pk: Any) -> ImageSource:
        row: ImageSource = found(image_sources(self.actor), pk)
        require(self.actor, "system.manage")
        return row


def _words(title: str) -> dict[str, Any]:
    return {
        "title": title,
        "under": _("Whoever may bring images along may have Berth fetch them from it."),
        "submit": _("Save"),
        "back_url": reverse("portal:image-sources"),
        "back_label": _("Servers for images"),
    }


class DeleteSource(Deed):
    def do(self, pk: Any) -> HttpResponse:
        delete_image_source(actor=self.actor, source=found(image_sources(self.actor), pk))
        return done(self.request, _("The server was taken off the list."), to=reverse("portal:image-sources"))
