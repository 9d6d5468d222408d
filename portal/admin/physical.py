"""Physical PCs in the back office."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from broker.virt.actions.create_physical_machine import create_physical_machine
from broker.virt.actions.delete_physical_machine import delete_physical_machine
from broker.virt.actions.edit_physical_machine import edit_physical_machine
from broker.virt.models import Cluster, PhysicalMachine
from broker.virt.physical.secret import LONGEST
from pools.actions.add_physical_machine import add_physical_machine
from pools.models import Pool

from .rows import POWER, Rows, link, worded
from .site import site

PORTS = ("vnc_port", "rdp_port", "probe_port")


class PcForm(forms.ModelForm):
    """With what is its machine's; an empty password leaves the one there is."""

    name = forms.CharField(label=_("Name"), max_length=64)
    title = forms.CharField(label=_("Title"), max_length=128, required=False)
    cluster = forms.ModelChoiceField(label=_("Cluster"), queryset=Cluster.objects.all())
    vnc_password = forms.CharField(
        label=_("VNC password"), max_length=LONGEST, required=False, strip=False, widget=forms.PasswordInput
    )

    pool = forms.ModelChoiceField(
        label=_("Put it into the pool"), queryset=Pool.objects.filter(template__isnull=True), required=False
    )

    class Meta:
        model = PhysicalMachine
        fields = ("address", "mac", "broadcast", *PORTS, "maintenance")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None and not self.instance._state.adding:
            for name in ("name", "title"):
                self.fields[name].initial = getattr(self.instance.vm, name)
            self.fields["cluster"].initial = self.instance.vm.cluster_id
            self.fields["cluster"].disabled = True


@admin.register(PhysicalMachine, site=site)
class PhysicalMachineAdmin(Rows):
    addable = editable = removable = True
    form = PcForm
    list_display = ("vm", "power", "address", "vnc_port", "rdp_port", "mac", "maintenance", "probed_at", "machine")
    list_filter = ("maintenance",)
    search_fields = ("vm__name", "vm__title", "address", "mac")
    list_select_related = ("vm",)
    fields = (
        ("name", "title"), ("cluster", "address"), ("vnc_port", "vnc_password"), ("rdp_port", "probe_port"),
        ("mac", "broadcast"), ("maintenance", "pool"),
    )  # fmt: skip

    def add_by(self, request: HttpRequest, values: dict[str, Any]) -> PhysicalMachine:
        maintenance, pool = values.pop("maintenance"), values.pop("pool")
        values["broadcast"] = values["broadcast"] or ""
        pc = create_physical_machine(actor=self.actor(request), **values)
        if pool is not None:
            add_physical_machine(actor=self.actor(request), pool=pool, pc=pc)
        return edit_physical_machine(actor=self.actor(request), pc=pc, maintenance=True) if maintenance else pc

    def change_by(self, request: HttpRequest, obj: PhysicalMachine, values: dict[str, Any]) -> None:
        values.pop("cluster", None)
        values |= {port: values[port] or 0 for port in PORTS if port in values}
        if "broadcast" in values:
            values["broadcast"] = values["broadcast"] or ""
        pool = values.pop("pool", None)
        edit_physical_machine(actor=self.actor(request), pc=obj, **values)
        if pool is not None:
            add_physical_machine(actor=self.actor(request), pool=pool, pc=obj)

    def remove_by(self, request: HttpRequest, obj: PhysicalMachine) -> None:
        delete_physical_machine(actor=self.actor(request), pc=obj)

    @display(description=_("Power"), ordering="vm__power_state", label=POWER)
    def power(self, pc: PhysicalMachine) -> tuple[str, str]:
        return worded(str(pc.vm.power_state))

    @display(description=_("Machine"))
    def machine(self, pc: PhysicalMachine) -> Any:
        return link(pc.vm)
