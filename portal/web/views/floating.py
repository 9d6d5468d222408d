"""Disks that belong to no machine: the list, and the ways in and out of machines."""

from typing import Any

from django import forms
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import find, visible_to
from broker.virt.actions.adopt_file import adopt_file
from broker.virt.actions.attach_disk import attach_disk
from broker.virt.actions.delete_floating_disk import delete_floating_disk
from broker.virt.actions.detach_disk import detach_disk
from broker.virt.models import FloatingDisk, StorageDomain, VirtualMachine
from portal.templatetags.berth import bytesize
from portal.web.base import Deed, Page, done
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm, offer
from portal.web.listing import Column, Listing
from portal.web.parts import Action, Cell, Row, jobs_of

from .disks import disk_of
from .shared_disks import had_by, sharing


class FloatingDisks(Page):
    template = "portal/manage/table.html"

    def content(self) -> dict[str, Any]:
        columns = (
            Column(_("Name"), "name"), Column(_("Size"), "size_bytes"), Column(_("Storage"), "storage__name"),
            Column(_("Had by"), "shared"), Column(_("Owner"), "owner__username"), Column(_("Since"), "created_at"),
        )  # fmt: skip
        rows = visible_to(self.actor, FloatingDisk).select_related("storage", "owner").prefetch_related("shares__vm")
        listing = Listing(self.request, rows, columns=columns, search=("name", "volume"), order="name")
        page = list(listing.page)
        jobs, names = jobs_of("disk", [row.pk for row in page]), had_by(self.actor, page)
        managed = visible_to(self.actor, FloatingDisk, "disk.manage").filter(pk__in=[row.pk for row in page])
        able = set(managed.values_list("pk", flat=True)) - jobs.keys()
        return {
            "title": _("Disks of no machine"),
            "empty": _("A disk that is taken out of a machine, or made of a left-over file, waits here."),
            "live_kinds": "disk job",
            "listing": listing,
            "acting": True,
            "rows": [
                Row(
                    [
                        Cell(row.name, under=row.volume), Cell(bytesize(row.size_bytes)),
                        Cell(row.storage.name), Cell(names[row.pk]), Cell(str(row.owner or "")),
                        Cell(moment=row.created_at),
                    ],
                    _actions(row) if row.pk in able else (),
                )
                for row in page
            ],
        }  # fmt: skip


def _actions(row: FloatingDisk) -> list[Action]:
    text = _("The disk %(name)s and all that is stored on it is deleted.") % {"name": row.name}
    attach = Action(_("Attach"), reverse("portal:floating-attach", args=[row.pk]), "plus", link=True)
    return [
        *([] if row.shared else [attach]),
        sharing(row),
        Action(_("Delete"), reverse("portal:floating-delete", args=[row.pk]), "trash", danger=True, confirm=text),
    ]


class TakerForm(StyledForm):
    vm = forms.ModelChoiceField(label=gettext_lazy("Machine"), queryset=VirtualMachine.objects.none())


class Attach(FormPage):
    """Of a disk: to which machine."""

    def form(self, data: Any, pk: Any) -> TakerForm:
        disk, form = self._disk(pk), TakerForm(data)
        able = VirtualMachine.objects.filter(cluster=disk.storage.cluster_id, state="ready")
        if disk.storage.host_id is not None:
            able = able.filter(host=disk.storage.host_id)
        offer(form, "vm", visible_to(self.actor, able, "vm.edit"))
        return form

    def make(self, values: dict[str, Any], pk: Any) -> str:
        attach_disk(actor=self.actor, disk=self._disk(pk), vm=values["vm"])
        return reverse("portal:vm-disks", args=[values["vm"].pk])

    def words(self, pk: Any) -> dict[str, Any]:
        return {
            "title": _("Attach the disk %(name)s") % {"name": self._disk(pk).name},
            "under": _("It is plugged in at once when the machine runs."),
            "submit": _("Attach it"),
            "back_url": reverse("portal:floating-disks"),
            "back_label": _("Disks of no machine"),
        }

    def _disk(self, pk: Any) -> FloatingDisk:
        return find(self.actor, FloatingDisk, pk, "disk.manage")


class Delete(Deed):
    def do(self, pk: Any) -> HttpResponse:
        delete_floating_disk(actor=self.actor, disk=find(self.actor, FloatingDisk, pk))
        return done(self.request, _("The disk is being deleted."))


class Detach(Deed):
    def do(self, pk: Any, disk: Any) -> HttpResponse:
        detach_disk(actor=self.actor, disk=disk_of(find(self.actor, VirtualMachine, pk), disk))
        return done(self.request, _("The disk is being taken out."))


class AdoptFile(Deed):
    def do(self, pk: Any) -> HttpResponse:
        adopt_file(
            actor=self.actor, storage=find(self.actor, StorageDomain, pk), file=self.request.POST.get("file", "")
        )
        return done(self.request, _("The file is being looked at."))
