"""The page that deletes a machine and keeps its disks, with what becomes of both."""

from typing import Any

from django import forms
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from broker.access.require import find
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.models import VirtualMachine
from portal.templatetags.berth import bytesize
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm


class KeepDisksForm(StyledForm):
    sure = forms.BooleanField(
        label=gettext_lazy("Delete the machine"),
        help_text=gettext_lazy(
            "It is powered off, and what is in its memory is lost. Its settings, cards and addresses are removed and"
            " cannot be brought back. Its disks belong to you then, and count against your quota."
        ),
        error_messages={"required": gettext_lazy("Say that the machine is to be deleted.")},
    )


class DeleteKeepingDisks(FormPage):
    def form(self, data: Any, pk: Any) -> KeepDisksForm:
        self._vm(pk)
        return KeepDisksForm(data)

    def make(self, values: dict[str, Any], pk: Any) -> str:
        delete_vm(actor=self.actor, vm=self._vm(pk), keep_disks=True)
        return reverse("portal:floating-disks")

    def words(self, pk: Any) -> dict[str, Any]:
        vm = self._vm(pk)
        disks = [f"{disk.target} ({bytesize(disk.size_bytes)})" for disk in vm.disks.all()]
        kept = ngettext(
            "This disk stays, as a disk of no machine: %(disks)s",
            "These disks stay, as disks of no machine: %(disks)s", len(disks),
        ) % {"disks": ", ".join(disks)}  # fmt: skip
        return {
            "title": _("Delete %(name)s and keep its disks") % {"name": vm.name},
            "under": kept if disks else _("It has no disks of its own."),
            "submit": _("Delete it"),
            "back_url": reverse("portal:vm", args=[pk]),
            "back_label": vm.name,
        }

    def _vm(self, pk: Any) -> VirtualMachine:
        return find(self.actor, VirtualMachine, pk, "vm.delete")
