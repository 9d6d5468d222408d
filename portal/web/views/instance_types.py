"""Instance types: the list, making, changing and removing one, and giving a machine the size of one."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.db.models import Count
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import find, may, require
from broker.connections.finding import found
from broker.virt.actions.create_instance_type import create_instance_type
from broker.virt.actions.delete_instance_type import delete_instance_type
from broker.virt.actions.edit_instance_type import edit_instance_type
from broker.virt.actions.edit_vm import edit_vm
from broker.virt.instance_types import instance_types
from broker.virt.machine_options import KNOWN, TOPOLOGY
from broker.virt.models import InstanceType, VirtualMachine
from portal.templatetags.berth import mib
from portal.web.base import Deed, Page, done
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm, offer
from portal.web.listing import Column, Listing
from portal.web.parts import Action, Cell, Row

OFFERED = (*TOPOLOGY, "max_vcpus", "max_memory_mib")
"""The options a form asks for; the others of a type, set by the API, stay."""


class TypeForm(StyledForm):
    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=64, help_text=gettext_lazy("Letters, digits, dots and hyphens.")
    )
    description = forms.CharField(label=gettext_lazy("Description"), max_length=200, required=False)
    vcpus = forms.IntegerField(label=gettext_lazy("Processors"), min_value=1)
    memory_mib = forms.IntegerField(label=gettext_lazy("Memory in MiB"), min_value=16)
    sockets = forms.IntegerField(
        label=gettext_lazy("Sockets"), min_value=1, required=False,
        help_text=gettext_lazy("Empty like cores and threads: each processor in a socket of its own."),
    )  # fmt: skip
    cores = forms.IntegerField(label=gettext_lazy("Cores in a socket"), min_value=1, required=False)
    threads = forms.IntegerField(label=gettext_lazy("Threads in a core"), min_value=1, required=False)
    max_vcpus = forms.IntegerField(
        label=gettext_lazy("Most processors"),
        min_value=0,
        required=False,
        help_text=gettext_lazy(KNOWN["max_vcpus"].help),
    )
    max_memory_mib = forms.IntegerField(
        label=gettext_lazy("Most memory in MiB"), min_value=0, required=False,
        help_text=gettext_lazy(KNOWN["max_memory_mib"].help),
    )  # fmt: skip


class ResizeForm(StyledForm):
    instance_type = forms.ModelChoiceField(label=gettext_lazy("Instance type"), queryset=InstanceType.objects.none())


class InstanceTypes(Page):
    template = "portal/manage/table.html"

    def content(self) -> dict[str, Any]:
        able = may(self.actor, "system.manage")
        columns = (
            Column(_("Name"), "name"), Column(_("Processors"), "vcpus"), Column(_("Memory"), "memory_mib"),
            Column(_("May grow to")), Column(_("Machines"), "machines"), *([Column("")] if able else []),
        )  # fmt: skip
        listing = Listing(
            self.request, instance_types(self.actor).annotate(machines=Count("vms")), columns=columns,
            search=("name", "description"), order="memory_mib",
        )  # fmt: skip
        return {
            "title": _("Instance types"),
            "under": _("Sizes to choose from. Changing one changes no machine that was made by it."),
            "empty": _("None yet."),
            "new_url": reverse("portal:instance-type-new") if able else "",
            "new_label": _("New instance type"),
            "live_kinds": "instance-type",
            "acting": able,
            "listing": listing,
            "rows": [
                Row(
                    [
                        Cell(row.name, under=row.description), Cell(row.vcpus, under=_topology(row.options)),
                        Cell(mib(row.memory_mib)), Cell(_most(row)), Cell(row.machines),
                    ],
                    _actions(row) if able else (),
                )
                for row in listing.page
            ],
        }  # fmt: skip


def _topology(options: Mapping[str, Any]) -> str:
    return " × ".join(str(options.get(name, 1)) for name in TOPOLOGY) if options.keys() & set(TOPOLOGY) else ""


def _most(row: InstanceType) -> str:
    most = [str(row.options["max_vcpus"])] if row.options.get("max_vcpus") else []
    most += [str(mib(row.options["max_memory_mib"]))] if row.options.get("max_memory_mib") else []
    return ", ".join(most) or "–"


def _actions(row: InstanceType) -> list[Action]:
    text = _("%(name)s can be chosen no more. Its machines keep what they have.") % {"name": row.name}
    return [
        Action(_("Edit"), reverse("portal:instance-type-edit", args=[row.pk]), "edit", link=True),
        Action(_("Remove"), reverse("portal:instance-type-delete", args=[row.pk]), "trash", True, text),
    ]


def _settings(values: Mapping[str, Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    """What the actions take, of a form's values; `kept`: the options there are."""
    options = {name: value for name, value in kept.items() if name not in OFFERED}
    options |= {name: values[name] for name in OFFERED if values[name]}
    return {name: value for name, value in values.items() if name not in OFFERED} | {"options": options}


class _TypePage(FormPage):
    def kind(self, pk: Any) -> InstanceType:
        row: InstanceType = found(instance_types(self.actor), pk)
        require(self.actor, "system.manage")
        return row

    def words(self, pk: Any = None) -> dict[str, Any]:
        return {
            "title": _("Edit %(name)s") % {"name": self.kind(pk)} if pk else _("New instance type"),
            "under": _("For machines that are made from now on."),
            "submit": _("Save"),
            "back_url": reverse("portal:instance-types"),
            "back_label": _("Instance types"),
        }


class NewType(_TypePage):
    verb = "system.manage"

    def form(self, data: Any) -> TypeForm:
        return TypeForm(data)

    def make(self, values: dict[str, Any]) -> str:
        create_instance_type(actor=self.actor, **_settings(values, {}))
        return reverse("portal:instance-types")


class EditType(_TypePage):
    def form(self, data: Any, pk: Any) -> TypeForm:
        row = self.kind(pk)
        initial = {name: getattr(row, name) for name in ("name", "description", "vcpus", "memory_mib")}
        return TypeForm(data, initial=initial | row.options)

    def make(self, values: dict[str, Any], pk: Any) -> str:
        row = self.kind(pk)
        edit_instance_type(actor=self.actor, kind=row, **_settings(values, row.options))
        return reverse("portal:instance-types")


class DeleteType(Deed):
    def do(self, pk: Any) -> HttpResponse:
        delete_instance_type(actor=self.actor, kind=found(instance_types(self.actor), pk))
        return done(self.request, _("The instance type was removed."), to=reverse("portal:instance-types"))


class Resize(FormPage):
    """Give a machine the size of a type."""

    def form(self, data: Any, pk: Any) -> ResizeForm:
        vm = find(self.actor, VirtualMachine, pk, "vm.edit")
        form = ResizeForm(data, initial={"instance_type": vm.instance_type_id})
        offer(form, "instance_type", instance_types(self.actor))
        return form

    def make(self, values: dict[str, Any], pk: Any) -> str:
        edit_vm(actor=self.actor, vm=find(self.actor, VirtualMachine, pk), **values)
        return reverse("portal:vm", args=[pk])

    def words(self, pk: Any) -> dict[str, Any]:
        vm = find(self.actor, VirtualMachine, pk)
        return {
            "title": _("Resize %(name)s") % {"name": vm.title or vm.name},
            "under": _("What a running machine cannot take while it runs waits for its next start."),
            "submit": _("Resize"),
            "back_url": reverse("portal:vm", args=[pk]),
            "back_label": vm.title or vm.name,
        }
