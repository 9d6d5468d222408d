"""The form of a machine's hardware: only what somebody changes on it counts as chosen."""

from typing import Any

from django import forms
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.require import find
from broker.core.tables import complete
from broker.virt import pending
from broker.virt.actions.edit_vm import edit_vm
from broker.virt.machine_options import OPTIONS, TOPOLOGY
from broker.virt.models import VirtualMachine
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm, dressed
from portal.web.option_fields import GRAPHICS, graphics_of

from .placement import table_form


class MachineHardware(FormPage):
    def form(self, data: Any, pk: Any) -> StyledForm:
        vm = find(self.actor, VirtualMachine, pk, "vm.edit")
        form = table_form(OPTIONS, _present(vm), data)
        screen = forms.ChoiceField(
            label=_("Screen"), choices=GRAPHICS, required=False, help_text=_("Changes only while it is off."),
            initial=graphics_of(vm.graphics),
        )  # fmt: skip
        form.fields["graphics"] = dressed(screen)
        return form

    def make(self, values: dict[str, Any], pk: Any) -> str:
        vm = find(self.actor, VirtualMachine, pk)
        present, screens = _present(vm), values.pop("graphics")
        chosen = {name: value for name, value in values.items() if value != present[name]}
        if any(name in chosen for name in TOPOLOGY):
            chosen |= {name: values[name] for name in TOPOLOGY}
        edit_vm(actor=self.actor, vm=vm, options=chosen, graphics=screens.split(",") if screens else None)
        return reverse("portal:vm", args=[pk])

    def words(self, pk: Any) -> dict[str, Any]:
        vm = find(self.actor, VirtualMachine, pk)
        return {
            "title": _("Hardware of %(name)s") % {"name": vm.title or vm.name},
            "under": _("Its next start has it. What a run can take, a running machine is given at once."),
            "submit": _("Save"),
            "back_url": reverse("portal:vm", args=[pk]),
            "back_label": vm.title or vm.name,
        }


def _present(vm: VirtualMachine) -> dict[str, Any]:
    """All options as they hold, or will at its next start. Processors in no chosen order are sockets of their own."""
    after = pending.hardware(vm, pending.of(vm))
    stored = after["options"] if any(name in after["options"] for name in TOPOLOGY) else {
        **after["options"], "sockets": after["vcpus"],
    }  # fmt: skip
    return complete(OPTIONS, stored)
