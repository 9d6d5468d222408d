"""The forms of physical PCs."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from broker.access.actor import Actor
from broker.virt.models import PhysicalMachine
from broker.virt.physical.rules import MOST_PORT
from broker.virt.physical.secret import LONGEST
from pools.models import Pool
from pools.physical import pools_for_pcs

from .forms import StyledForm, offer
from .inventory_forms import ClusterForm


class PcFields(StyledForm):
    """What is said of a PC, whether it is new or not."""

    title = forms.CharField(
        label=_("Title"), max_length=128, required=False, help_text=_("What users read on the card.")
    )
    address = forms.CharField(
        label=_("Address"), max_length=253, help_text=_("Its name in the network, or its IP address.")
    )
    vnc_port = forms.IntegerField(
        label=_("VNC port"), min_value=0, max_value=MOST_PORT, required=False,
        help_text=_("Usually 5900; empty: it has no VNC server."),
    )  # fmt: skip
    vnc_password = forms.CharField(
        label=_("VNC password"), max_length=LONGEST, required=False, strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=_("Berth gives it to the PC; no browser ever sees it."),
    )  # fmt: skip
    rdp_port = forms.IntegerField(
        label=_("RDP port"), min_value=0, max_value=MOST_PORT, required=False,
        help_text=_("Usually 3389; empty: it is not offered by RDP."),
    )  # fmt: skip
    mac = forms.CharField(
        label=_("MAC address"), max_length=17, required=False, help_text=_("By which it is woken: Wake-on-LAN.")
    )
    broadcast = forms.CharField(
        label=_("Broadcast address"), max_length=15, required=False,
        help_text=_("Where it is woken from another network, like 192.168.20.255; else empty."),
    )  # fmt: skip
    probe_port = forms.IntegerField(
        label=_("Port to see whether it is on"), min_value=0, max_value=MOST_PORT, required=False,
        help_text=_("Empty: those above. For VNC servers that lock out who knocks often, like TigerVNC: 22 or 445."),
    )  # fmt: skip
    tags = forms.CharField(label=_("Tags"), max_length=2100, required=False, help_text=_("Separated by commas."))
    pool = forms.ModelChoiceField(
        label=_("Pool"), queryset=Pool.objects.none(), required=False, empty_label=_("none"),
        help_text=_("From which it is handed out; without one it is given by its permissions."),
    )  # fmt: skip
    notes = forms.CharField(
        label=_("Notes"), max_length=10_000, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )

    def clean_tags(self) -> list[str]:
        return [tag.strip() for tag in self.cleaned_data["tags"].split(",") if tag.strip()]


class NewPcForm(PcFields, ClusterForm):
    verb = "host.manage"
    field_order = ("name", "title", "cluster", "address")

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any):
        super().__init__(*args, actor=actor, **kwargs)
        self.fields["vnc_port"].initial = 5900
        offer(self, "pool", pools_for_pcs(actor))


class EditPcForm(PcFields):
    """An empty password leaves the one there is."""

    name = forms.CharField(label=_("Name"), max_length=64)
    forget_password = forms.BooleanField(label=_("It has no VNC password any more"), required=False)
    maintenance = forms.BooleanField(
        label=_("In maintenance"), required=False, help_text=_("Nobody wakes or opens it, and nobody is given it.")
    )
    field_order = (
        "name", "title", "address", "vnc_port", "vnc_password", "forget_password", "rdp_port", "mac", "broadcast",
        "probe_port", "maintenance",
    )  # fmt: skip

    def __init__(self, *args: Any, actor: Actor, pc: PhysicalMachine, **kwargs: Any):
        plain = ("address", "vnc_port", "rdp_port", "mac", "broadcast", "probe_port", "maintenance")
        initial = {name: getattr(pc, name) for name in plain}
        initial |= {name: getattr(pc.vm, name) for name in ("name", "title", "notes")}
        initial["tags"] = ", ".join(tag.name for tag in pc.vm.tags.all())
        super().__init__(*args, initial=initial, **kwargs)
        if getattr(pc.vm, "desktop", None) is None:
            offer(self, "pool", pools_for_pcs(actor).filter(cluster=pc.vm.cluster_id))
        else:
            del self.fields["pool"]  # it has to leave the one it is in first

    def values(self) -> dict[str, Any]:
        """The arguments of the action: empty ports are none, an empty password is left."""
        values = dict(self.cleaned_data)
        for port in ("vnc_port", "rdp_port", "probe_port"):
            values[port] = values[port] or 0
        if values.pop("forget_password"):
            values["vnc_password"] = ""
        elif not values["vnc_password"]:
            values["vnc_password"] = None
        return values
