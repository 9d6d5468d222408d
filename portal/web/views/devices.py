"""Devices of a host: what its page says of them; and giving one to a machine, and taking it away."""

from collections import defaultdict
from typing import Any

from django import forms
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.actor import Actor
from broker.access.require import find, visible_to
from broker.core.errors import Missing
from broker.core.text import gettext_noop as N_
from broker.virt import pending
from broker.virt.actions.attach_device import attach_device
from broker.virt.actions.detach_device import detach_device
from broker.virt.host_devices import UNFIT
from broker.virt.models import DeviceUse, Host, HostDevice, PendingChange, VirtualMachine
from portal.web.base import Deed, done
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm, offer
from portal.web.parts import Action, Cell, Related, Row
from portal.web.words import Mark


def devices_of_host(actor: Actor, host: Host) -> list[Related]:
    """For those who see them. Machines are named that the actor sees."""
    devices = list(visible_to(actor, HostDevice).filter(host=host).prefetch_related("uses__vm"))
    if not devices:
        return []
    machines = {use.vm_id for device in devices for use in device.uses.all()}
    seen = set(visible_to(actor, VirtualMachine).filter(pk__in=machines).values_list("pk", flat=True))
    groups = defaultdict(list)
    for device in devices:
        groups[device.group].append(device.key)
    rows = [
        Row(
            [
                Cell(device.title or device.key, under=device.key),
                Cell(_grouped(device, groups[device.group])),
                Cell(", ".join(use.vm.name if use.vm_id in seen else _("a machine") for use in device.uses.all())),
                Cell(mark=_mark(device), under=_(UNFIT[device.unfit][0]) if device.unfit else ""),
            ]
        )
        for device in devices
    ]
    heads = [_("Device"), _("IOMMU group"), _("Machine"), _("State")]
    return [Related(_("Devices"), heads, rows, _("None was found."))]


def _grouped(device: HostDevice, keys: list[str]) -> str:
    """A group goes as a whole: what else is in it has to be free of the host, too."""
    if device.group is None:
        return ""
    others = [key for key in keys if key != device.key]
    return f"{device.group}: {_('with %(others)s') % {'others': ', '.join(others)}}" if others else str(device.group)


def _mark(device: HostDevice) -> Mark:
    if not device.present:
        return Mark(_("Gone"), "bad")
    return Mark(_("Not for machines"), "idle") if device.unfit else Mark(_("For machines"), "good")


def give_device(actor: Actor, vm: VirtualMachine) -> list[Action]:
    """For those to whom one would be offered."""
    rows = HostDevice.objects.filter(host__cluster=vm.cluster_id, unfit="")
    if not visible_to(actor, rows, "device.use").exists():
        return []
    url = reverse("portal:device-new", args=[vm.pk])
    return [Action(_("Give it a device of its host"), url, "plug-connected", link=True)]


def devices_of_machine(vm: VirtualMachine, row: PendingChange | None, able: bool) -> list[Related]:
    """Nothing for a machine that has none."""
    uses = list(vm.devices.select_related("device__host"))
    if not uses:
        return []
    rows = [
        Row(
            [
                Cell(use.device.title or use.device.key, under=f"{use.device.key} · {use.device.host.name}"),
                Cell(mark=_state(use, gone=bool(pending.of_part(row, use).get("gone")))),
            ],
            [
                Action(
                    _("Take it away"), reverse("portal:device-delete", args=[vm.pk, use.pk]), "logout",
                    confirm=_("The guest loses %(name)s, and the host has it again.") % {"name": use.device.name},
                )
            ]
            if able else (),
        )
        for use in uses
    ]  # fmt: skip
    return [Related(_("Devices of its host"), [_("Device"), _("State")], rows, _("It has none."), acting=True)]


def _state(use: DeviceUse, *, gone: bool) -> Mark:
    if not use.device.present:
        return Mark(_("Not in its host any more"), "bad")
    if not use.plugged:
        return Mark(_("Comes"), "warn")
    return Mark(_("Goes"), "warn") if gone else Mark(_("Given"), "good")


class DeviceForm(StyledForm):
    device = forms.ModelChoiceField(
        label=gettext_lazy("Device"), queryset=HostDevice.objects.none(),
        help_text=gettext_lazy("The machine runs on this host only then, and its memory cannot be kept."),
    )  # fmt: skip
    now = forms.BooleanField(
        label=gettext_lazy("Now, while it runs"), required=False, initial=True,
        help_text=gettext_lazy("USB only. Otherwise, and where its run cannot have it, at its next start."),
    )  # fmt: skip


class NewDevice(FormPage):
    def form(self, data: Any, pk: Any) -> DeviceForm:
        vm, form = self._vm(pk), DeviceForm(data)
        rows = HostDevice.objects.filter(host__cluster=vm.cluster_id, unfit="", present=True).exclude(uses__vm=vm)
        if vm.host_id is not None:
            rows = rows.filter(host=vm.host_id)
        offer(form, "device", visible_to(self.actor, rows, "device.use"))
        return form

    def make(self, values: dict[str, Any], pk: Any) -> str:
        attach_device(actor=self.actor, vm=self._vm(pk), **values)
        return reverse("portal:vm-changes", args=[pk])

    def words(self, pk: Any) -> dict[str, Any]:
        vm = self._vm(pk)
        return {
            "title": _("Give %(name)s a device of its host") % {"name": vm.title or vm.name},
            "under": _("PCI devices come with its next start."),
            "submit": _("Give it"),
            "back_url": reverse("portal:vm-changes", args=[pk]),
            "back_label": _("Changes and cards"),
        }

    def _vm(self, pk: Any) -> VirtualMachine:
        return find(self.actor, VirtualMachine, pk, "vm.edit")


class TakeDevice(Deed):
    def do(self, pk: Any, use: Any) -> HttpResponse:
        vm = find(self.actor, VirtualMachine, pk)
        found = vm.devices.select_related("vm", "device").filter(pk=use).first()
        if found is None:
            raise Missing(N_("There is no such object."), fix=N_("Go back to the list; it may have been removed."))
        detach_device(actor=self.actor, use=found)
        return done(self.request, _("The device is to go."))
