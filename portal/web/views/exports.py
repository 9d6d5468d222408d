"""Disks, and machines as OVAs, as files to be downloaded, on the page of a machine's disks."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import find
from broker.core.errors import BerthError, Missing
from broker.core.text import gettext_noop as N_
from broker.virt.actions.delete_export import delete_export
from broker.virt.actions.download_export import download_export
from broker.virt.actions.export_disk import export_disk
from broker.virt.actions.export_vm import export_vm
from broker.virt.models import Disk, DiskExport, Snapshot, VirtualMachine
from portal.ranges import begins, ranged
from portal.templatetags.berth import bytesize
from portal.web.base import Deed, SignedIn, done, refused
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm
from portal.web.parts import Action, Cell, Related, Row


def exports_of(vm: VirtualMachine, able: bool) -> Related:
    """One query."""
    rows = [
        Row(
            [
                Cell(one.name, under=f"SHA-256 {one.sha256}" if one.sha256 else _("Being made")),
                Cell(bytesize(one.size_bytes) if one.ready_at else "–"), Cell(moment=one.created_at),
            ],
            _actions(vm, one) if able and one.ready_at else (),
        )
        for one in vm.exports.all()
    ]  # fmt: skip
    heads = [_("File"), _("Size"), _("Asked for")]
    return Related(_("Downloads"), heads, rows, _("No file was made of it today."), acting=True)


def _actions(vm: VirtualMachine, one: DiskExport) -> list[Action]:
    return [
        Action(_("Download"), reverse("portal:export-data", args=[vm.pk, one.pk]), "file-download", link=True),
        Action(
            _("Delete"), reverse("portal:export-delete", args=[vm.pk, one.pk]), "trash", danger=True,
            confirm=_("The file is deleted here; the machine stays as it is."),
        ),
    ]  # fmt: skip


class ExportForm(StyledForm):
    disk = forms.ModelChoiceField(label=gettext_lazy("Disk"), queryset=Disk.objects.none(), empty_label=None)
    snapshot = forms.ModelChoiceField(
        label=gettext_lazy("As it was at the snapshot"), queryset=Snapshot.objects.none(), required=False,
        empty_label=gettext_lazy("as it is now"), help_text=gettext_lazy("A machine that runs needs one."),
    )  # fmt: skip


class OvaForm(StyledForm):
    snapshot = forms.ModelChoiceField(
        label=gettext_lazy("Its disks as they were at the snapshot"), queryset=Snapshot.objects.none(), required=False,
        empty_label=gettext_lazy("as they are now"), help_text=gettext_lazy("A machine that runs needs one."),
    )  # fmt: skip


class Export(FormPage):
    def form(self, data: Any, pk: Any) -> ExportForm:
        vm, form = self._vm(pk), ExportForm(data)
        disks, snapshots = form.fields["disk"], form.fields["snapshot"]
        assert isinstance(disks, forms.ModelChoiceField) and isinstance(snapshots, forms.ModelChoiceField)
        disks.queryset, snapshots.queryset = vm.disks.all(), vm.snapshots.all()
        disks.label_from_instance = _label  # type: ignore[method-assign,assignment]
        return form

    def make(self, values: dict[str, Any], pk: Any) -> str:
        export_disk(actor=self.actor, **values)
        return reverse("portal:vm-disks", args=[pk])

    def words(self, pk: Any) -> dict[str, Any]:
        vm = self._vm(pk)
        return {
            "title": _("Download a disk of %(name)s") % {"name": vm.title or vm.name},
            "under": _("A qcow2 file is made of it first, which needs no other. It is kept for a day."),
            "submit": _("Make the file"),
            "back_url": reverse("portal:vm-disks", args=[vm.pk]),
            "back_label": _("Disks and snapshots"),
        }

    def _vm(self, pk: Any) -> VirtualMachine:
        return find(self.actor, VirtualMachine, pk, "vm.backup")


class ExportMachine(FormPage):
    def form(self, data: Any, pk: Any) -> OvaForm:
        vm, form = self._vm(pk), OvaForm(data)
        snapshots = form.fields["snapshot"]
        assert isinstance(snapshots, forms.ModelChoiceField)
        snapshots.queryset = vm.snapshots.all()
        return form

    def make(self, values: dict[str, Any], pk: Any) -> str:
        export_vm(actor=self.actor, vm=self._vm(pk), **values)
        return reverse("portal:vm-disks", args=[pk])

    def words(self, pk: Any) -> dict[str, Any]:
        vm = self._vm(pk)
        return {
            "title": _("Export %(name)s as OVA") % {"name": vm.title or vm.name},
            "under": _("One file for other programs: its hardware and its disks as VMDK. It is kept for a day."),
            "submit": _("Make the OVA"),
            "back_url": reverse("portal:vm", args=[vm.pk]),
            "back_label": vm.title or vm.name,
        }

    def _vm(self, pk: Any) -> VirtualMachine:
        return find(self.actor, VirtualMachine, pk, "vm.backup")


def _label(disk: Any) -> str:
    return f"{disk.target} · {bytesize(disk.size_bytes)}"


class ExportData(SignedIn):
    def get(self, request: HttpRequest, pk: Any, export: Any) -> HttpResponseBase:
        try:
            row = export_of(find(self.actor, VirtualMachine, pk), export)
            file = download_export(actor=self.actor, export=row, first=begins(request))
        except BerthError as error:
            return refused(request, error)
        return ranged(request, file, name=row.name, etag=row.sha256)


class DeleteExport(Deed):
    def do(self, pk: Any, export: Any) -> HttpResponse:
        delete_export(actor=self.actor, export=export_of(find(self.actor, VirtualMachine, pk), export))
        return done(self.request, _("The file was deleted."))


def export_of(vm: VirtualMachine, pk: Any) -> DiskExport:
    found = vm.exports.select_related("vm").filter(pk=pk).first()
    if found is None:
        raise Missing(
            N_("There is no such object."), fix=N_("Go back to the list; it may have been removed, or is not yours.")
        )
    return found
