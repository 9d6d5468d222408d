"""The form of what lies in a machine's CD drive."""

from typing import Any

from django import forms
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import find, visible_to
from broker.virt.actions.change_cd import change_cd
from broker.virt.models import Image, VirtualMachine
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm, offer


class CdForm(StyledForm):
    cd = forms.ModelChoiceField(
        label=gettext_lazy("CD"), queryset=Image.objects.none(), required=False, empty_label=gettext_lazy("none")
    )


class ChangeCd(FormPage):
    def form(self, data: Any, pk: Any) -> StyledForm:
        vm = find(self.actor, VirtualMachine, pk, "vm.edit")
        form = CdForm(data, initial={"cd": vm.cd_id})
        cds = visible_to(self.actor, Image).filter(kind="iso", state="ready", storage__cluster=vm.cluster_id)
        offer(form, "cd", cds)
        return form

    def make(self, values: dict[str, Any], pk: Any) -> str:
        change_cd(actor=self.actor, vm=find(self.actor, VirtualMachine, pk), cd=values["cd"])
        return reverse("portal:vm-disks", args=[pk])

    def words(self, pk: Any) -> dict[str, Any]:
        vm = find(self.actor, VirtualMachine, pk, "vm.edit")
        return {
            "title": _("CD of %(name)s") % {"name": vm.title or vm.name},
            "under": _("Changed at once when it runs and was started with a drive; else its next start has it."),
            "submit": _("Change the CD"),
            "back_url": reverse("portal:vm-disks", args=[pk]),
            "back_label": _("Disks and snapshots"),
        }
