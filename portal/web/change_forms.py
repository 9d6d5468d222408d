"""The forms by which machines are changed: what is noted of them, their cards, a start that is different, a copy."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from broker.access.actor import Actor
from broker.access.require import visible_to
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.virt import pending
from broker.virt.autostart import LAST, LONGEST_DELAY
from broker.virt.machine_options import KNOWN
from broker.virt.models import Guard, Host, Image, Network, Nic, StorageDomain, VirtualMachine
from broker.virt.network_rules import MOST_MTU

from .forms import MachineForm, StyledForm, offer
from .guest_words import WORDS, GuestWords

GUARDS = [("", _("as its network says")), *((value, _(label)) for value, label in Guard.choices)]


SWITCHES = ("protected", "autostart")  # not sent at all means off
STARTING = ("autostart_order", "autostart_delay")


class ChangeForm(MachineForm):
    """Everything of a machine that is no hardware; its size as it will be."""

    name = forms.CharField(label=_("Name"), max_length=64, help_text=_("Renamed only while it is off."))
    tags = forms.CharField(label=_("Tags"), max_length=2100, required=False, help_text=_("Separated by commas."))
    own_fields = forms.CharField(
        label=_("Own fields"), required=False, max_length=11000, widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("One a line: name=value."),
    )  # fmt: skip
    notes = forms.CharField(
        label=_("Notes"), max_length=10000, required=False, widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("For whoever looks after it."),
    )  # fmt: skip
    on_error = forms.ChoiceField(
        label=_("When a disk is full or fails"), required=False,
        choices=[(value, _(label)) for value, label in VirtualMachine.OnError.choices],
        help_text=_("To tell its guest, or no longer to, counts from its next start on."),
    )  # fmt: skip
    autostart = forms.BooleanField(
        label=_("Start it with its host"), required=False,
        help_text=_("When that was rebooted, also if it was off before. Highly available machines have other rules."),
    )  # fmt: skip
    autostart_order = forms.IntegerField(
        label=_("Order of starting"), min_value=0, max_value=LAST, required=False, help_text=_("The lower, the sooner.")
    )
    autostart_delay = forms.IntegerField(
        label=_("Seconds until the next order"), min_value=0, max_value=LONGEST_DELAY, required=False,
        help_text=_("So long machines of a higher order wait after its start."),
    )  # fmt: skip
    field_order = (
        "name", "title", "vcpus", "memory_mib", "on_error", "tags", "own_fields", "description", "notes", "autostart",
        *STARTING, "protected",
    )  # fmt: skip

    def __init__(self, *args: Any, vm: VirtualMachine, **kwargs: Any):
        after = pending.hardware(vm, pending.of(vm))
        names = ("name", "title", "description", "notes", "protected", "on_error", "autostart", *STARTING)
        kwargs["initial"] = {
            **{name: getattr(vm, name) for name in names}, "vcpus": after["vcpus"], "memory_mib": after["memory_mib"],
            "tags": ", ".join(tag.name for tag in vm.tags.all()),
            "own_fields": "\n".join(str(one) for one in vm.own_fields.all()),
        }  # fmt: skip
        super().__init__(*args, **kwargs)
        for name in ("name", "tags", "own_fields", "notes"):
            self.fields[name].required = False
        if getattr(vm, "desktop", None) is not None:
            for name in ("autostart", *STARTING):
                del self.fields[name]

    def wish(self) -> dict[str, Any]:
        """What the action takes; what was not sent at all stays."""
        values = {name: value for name, value in self.cleaned_data.items() if name in self.data or name in SWITCHES}
        if not values.get("name"):
            values.pop("name", None)
        for name in STARTING:
            if values.get(name) is None:
                values.pop(name, None)
        if not values.get("on_error"):
            values.pop("on_error", None)
        if "tags" in values:
            values["tags"] = [tag.strip() for tag in values["tags"].split(",") if tag.strip()]
        if "own_fields" in values:
            values["own_fields"] = _pairs(values["own_fields"])
        return values


def _pairs(text: str) -> dict[str, str]:
    found = {}
    for line in filter(None, (line.strip() for line in text.splitlines())):
        name, equals, value = line.partition("=")
        if not equals:
            raise Invalid(
                N_("This line is no field: %(line)s"), field="own_fields", fix=N_("Write it like name=value."),
                line=line[:64],
            )  # fmt: skip
        found[name.strip()] = value.strip()
    return found


class CardForm(StyledForm):
    network = forms.ModelChoiceField(label=_("Network"), queryset=Network.objects.none())
    mac = forms.CharField(label=_("MAC address"), max_length=17, required=False, help_text=_("Empty: one is made."))
    model = forms.ChoiceField(label=_("Model"), choices=Nic.Model.choices)
    guard = forms.ChoiceField(label=_("May send as"), choices=GUARDS, required=False)
    in_kib = forms.IntegerField(label=_("Most KiB a second in"), min_value=0, help_text=_("0: no limit."))
    out_kib = forms.IntegerField(label=_("Most KiB a second out"), min_value=0, help_text=_("0: no limit."))
    connected = forms.BooleanField(label=_("Cable in"), required=False)
    now = forms.BooleanField(
        label=_("Now, while it runs"), required=False, initial=True,
        help_text=_("Otherwise, and where its run cannot have it, at its next start."),
    )  # fmt: skip

    NAMES = ("network", "model", "guard", "in_kib", "out_kib", "connected")

    def __init__(self, *args: Any, actor: Actor, vm: VirtualMachine, nic: Nic | None = None, **kwargs: Any):
        card = nic or Nic()
        kwargs["initial"] = {name: getattr(card, name) for name in self.NAMES if name != "network"}
        if nic is not None:
            kwargs["initial"]["network"] = nic.network_id
        super().__init__(*args, **kwargs)
        offer(self, "network", visible_to(actor, Network).filter(cluster=vm.cluster_id))
        if nic is not None:
            del self.fields["mac"]


class OnceForm(GuestWords):
    boot = forms.ChoiceField(label=_("Boot from"), required=False)
    host = forms.ModelChoiceField(
        label=_("Host"), queryset=Host.objects.none(), required=False, empty_label=_("as ever"),
        help_text=_("It stays there afterwards."),
    )  # fmt: skip
    cd = forms.ModelChoiceField(
        label=_("CD"), queryset=Image.objects.none(), required=False, empty_label=_("as ever"),
        help_text=_("In its drive in this run, which boots from it."),
    )  # fmt: skip
    cloud_init_again = forms.BooleanField(
        label=_("cloud-init again"), required=False,
        help_text=_("Its guest takes this start for its first one: users, keys and scripts are done again."),
    )  # fmt: skip

    GROUPS = (
        (_("This start"), "", ("boot", "cd", "host", "cloud_init_again")),
        (
            _("What cloud-init tells its guest"), _("Empty: what it was told before. Else it counts from now on."),
            WORDS,
        ),
    )  # fmt: skip

    def __init__(self, *args: Any, actor: Actor, vm: VirtualMachine, **kwargs: Any):
        super().__init__(*args, **kwargs)
        boot = self.fields["boot"]
        assert isinstance(boot, forms.ChoiceField)
        boot.choices = [("", _("as ever")), *((value, _(label)) for value, label in KNOWN["boot"].choices)]
        offer(self, "host", visible_to(actor, Host).filter(cluster=vm.cluster_id))
        cds = visible_to(actor, Image).filter(kind="iso", state="ready", storage__cluster=vm.cluster_id)
        offer(self, "cd", cds)


class CloneForm(StyledForm):
    name = forms.CharField(label=_("Name"), max_length=64, help_text=_("Letters, digits, dots and hyphens."))
    title = forms.CharField(label=_("Title"), max_length=128, required=False)
    storage = forms.ModelChoiceField(
        label=_("Storage"), queryset=StorageDomain.objects.none(), required=False,
        empty_label=_("where the original is"),
    )  # fmt: skip
    seal = forms.BooleanField(
        label=_("Seal the copy"), required=False,
        help_text=_("Takes out what makes the original itself: host keys, machine id, logs."),
    )  # fmt: skip
    start = forms.BooleanField(label=_("Start it when it is made"), required=False)

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any):
        super().__init__(*args, **kwargs)
        offer(self, "storage", visible_to(actor, StorageDomain))


class ChangeNetworkForm(StyledForm):
    name = forms.CharField(label=_("Name"), max_length=64)
    subnet = forms.CharField(label=_("Subnet"), max_length=43, required=False)
    bridge = forms.CharField(label=_("Bridge"), max_length=15, required=False)
    vlan = forms.IntegerField(label=_("VLAN"), min_value=0, max_value=4094, required=False)
    mtu = forms.IntegerField(
        label=_("MTU"), min_value=0, max_value=MOST_MTU, required=False, help_text=_("Empty: the usual, 1500.")
    )
    guard = forms.ChoiceField(
        label=_("Its cards may send as"), choices=[(value, _(label)) for value, label in Guard.choices],
        help_text=_("Counts for each card from its machine's next start on."),
    )  # fmt: skip

    def __init__(self, *args: Any, network: Network, **kwargs: Any):
        kwargs["initial"] = {name: getattr(network, name) for name in self.base_fields}
        kwargs["initial"]["mtu"] = network.mtu or None
        super().__init__(*args, **kwargs)
        joined = network.kind in (Network.Kind.BRIDGE, Network.Kind.OVS)
        for name in ("subnet", "mtu") if joined else ("bridge", "vlan"):
            del self.fields[name]
        if network.kind == Network.Kind.BRIDGE:
            del self.fields["vlan"]

    def clean_mtu(self) -> int:
        return self.cleaned_data["mtu"] or 0
