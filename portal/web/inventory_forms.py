"""The forms of what machines are made of and run on: templates, their versions, hosts, storage and networks."""

from pathlib import Path
from typing import Any

from django import forms
from django.utils.html import format_html
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from broker.access.actor import Actor
from broker.access.require import visible_to
from broker.virt import drivers
from broker.virt.images import import_directory
from broker.virt.machine_options import KNOWN
from broker.virt.models import Cluster, Guard, Host, StorageDomain, VmTemplate
from broker.virt.network_rules import MOST_MTU
from broker.virt.origins import MACHINES
from broker.virt.ssh.key import public_key
from broker.virt.storage_rules import NFS_VERSIONS

from . import mount_fields, words
from .forms import StyledForm, offer

MOST_IMAGES = 500


class ClusterForm(StyledForm):
    """Something new in a cluster, offered where the actor holds `verb`."""

    verb = ""

    name = forms.CharField(
        label=_("Name"), max_length=64, help_text=_("Letters, digits, dots, hyphens and underscores.")
    )
    cluster = forms.ModelChoiceField(label=_("Cluster"), queryset=Cluster.objects.none())

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any):
        super().__init__(*args, **kwargs)
        offer(self, "cluster", visible_to(actor, Cluster, self.verb))


class TemplateForm(ClusterForm):
    verb = "template.create"

    os_name = forms.CharField(
        label=_("System"), max_length=64, required=False, help_text=_("What users read and see as an icon: Debian 12.")
    )
    description = forms.CharField(
        label=_("Description"), max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )


class VersionForm(StyledForm):
    """An image from the import directory, and the hardware of the machines made from it."""

    source = forms.ChoiceField(label=_("Image"))
    storage = forms.ModelChoiceField(
        label=_("Storage"), queryset=StorageDomain.objects.none(), help_text=_("Where the image is kept.")
    )
    vcpus = forms.IntegerField(label=_("Processors"), min_value=1, initial=2)
    memory_mib = forms.IntegerField(label=_("Memory in MiB"), min_value=64, initial=2048)
    machine = forms.ChoiceField(
        label=_("Machine type"), choices=[(one, one) for one in MACHINES], initial="q35",
        help_text=_("q35 for all present systems, pc for those that do not know it."),
    )  # fmt: skip
    firmware = forms.ChoiceField(
        label=_("Firmware"), choices=[(value, _(label)) for value, label in KNOWN["firmware"].choices], initial="bios",
        help_text=_("What the system in the image was installed under."),
    )  # fmt: skip
    system = forms.ChoiceField(
        label=_("Made for"),
        choices=[(value, _(label)) for value, label in KNOWN["system"].choices],
        initial="other",
        help_text=_(KNOWN["system"].help),
    )
    tpm = forms.BooleanField(label=_("TPM"), required=False, help_text=_(KNOWN["tpm"].help))
    notes = forms.CharField(
        label=_("Notes"), max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("What is new in this version."),
    )  # fmt: skip

    def __init__(self, *args: Any, actor: Actor, template: VmTemplate, **kwargs: Any):
        super().__init__(*args, **kwargs)
        offer(self, "storage", visible_to(actor, StorageDomain).filter(cluster=template.cluster_id))
        source = self.fields["source"]
        assert isinstance(source, forms.ChoiceField)
        folder, names = import_directory(), offered_images()
        source.choices = [("", _now("Choose an image") if names else _now("There is no image")), *names.items()]
        source.help_text = _now("A qcow2 file in %(folder)s on the server.") % {"folder": folder}


class HostForm(ClusterForm):
    verb = "host.manage"

    driver = forms.ChoiceField(label=_("Driver"), initial="libvirt")
    uri = forms.CharField(
        label=_("Address"), max_length=255, initial="qemu:///system",
        help_text=_("qemu:///system is this server; another one: qemu+tls://host.example.org/system, or qemu+ssh://root@host.example.org/system."),
    )  # fmt: skip
    host_key = forms.CharField(
        label=_("SSH key of the host"), max_length=4096, required=False,
        help_text=_("For qemu+ssh: its public key or its fingerprint (SHA256:…). Left out, the first it shows counts."),
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        driver = self.fields["driver"]
        assert isinstance(driver, forms.ChoiceField)
        driver.choices = [(name, name) for name in drivers.known()]
        self.fields["uri"].help_text = format_html(
            "{}<br>{} <code class='break'>{}</code>", self.fields["uri"].help_text,
            _now("For qemu+ssh, add this line to ~/.ssh/authorized_keys of the account there:"), public_key(),
        )  # fmt: skip


class StorageForm(ClusterForm):
    verb = "storage.manage"

    kind = forms.ChoiceField(
        label=_("Kind"),
        choices=[("dir", _("Directory on the hosts")), ("nfs", _("NFS share")), ("iscsi", _("iSCSI target"))],
        required=False,
    )
    path = forms.CharField(
        label=_("Directory"),
        max_length=255,
        required=False,
        help_text=_("On the hosts, of its own, e.g. /srv/berth. A share needs none: Berth chooses where to mount it."),
    )
    server = forms.CharField(
        label=_("Server"), max_length=255, required=False,
        help_text=_("NFS: its name or address. iSCSI: one to four portals, e.g. 192.0.2.10, 192.0.2.11:3260."),
    )  # fmt: skip
    export = forms.CharField(
        label=_("Export or target"), max_length=255, required=False,
        help_text=_("NFS: the path on the server, e.g. /export/vms. iSCSI: e.g. iqn.2026-01.org.example:store."),
    )  # fmt: skip
    version = forms.ChoiceField(
        label=_("NFS version"), choices=[("", _("what they agree on")), *((one, one) for one in NFS_VERSIONS[1:])],
        required=False,
    )  # fmt: skip
    luns = forms.CharField(
        label=_("LUNs"), max_length=400, required=False,
        help_text=_("iSCSI: which are used, e.g. 1, 2, 5; none for all. The lowest is for Berth's own table."),
    )  # fmt: skip
    user = forms.CharField(label=_("CHAP user"), max_length=223, required=False)
    password = forms.CharField(
        label=_("CHAP password"), max_length=255, required=False, strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )  # fmt: skip
    host = forms.ModelChoiceField(
        label=_("Host"), queryset=Host.objects.none(), required=False,
        empty_label=_("shared: all hosts see the same files"),
        help_text=_("Choose the host if it alone has the directory; its machines then stay there."),
    )  # fmt: skip
    wipe_after_delete = forms.BooleanField(
        label=_("Overwrite what is deleted there"), required=False,
        help_text=_("With zeroes, before it goes; a disk can say otherwise."),
    )  # fmt: skip

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any):
        super().__init__(*args, actor=actor, **kwargs)
        offer(self, "host", visible_to(actor, Host))
        mount_fields.add(self, {})
        mount = [name for name in self.fields if name.startswith(mount_fields.PREFIX)]
        self.order_fields(["name", "cluster", "kind", "path", "server", "export", "version", *mount])

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        chosen = mount_fields.take(values)
        if values.get("kind") == StorageDomain.Kind.NFS:
            values["mount"] = chosen
        return values

    def clean_kind(self) -> str:
        return str(self.cleaned_data["kind"] or "dir")

    def clean_luns(self) -> list[int]:
        words = str(self.cleaned_data["luns"]).replace(",", " ").split()
        if not all(word.isascii() and word.isdecimal() and len(word) < 6 for word in words):
            raise forms.ValidationError(_now("Write numbers with commas between them."))
        return [int(word) for word in words]


class NetworkForm(ClusterForm):
    verb = "network.manage"

    kind = forms.ChoiceField(label=_("Kind"), choices=list(words.NETWORK.items()))
    subnet = forms.CharField(
        label=_("Subnet"), max_length=43, required=False,
        help_text=_("For NAT and isolated networks, e.g. 192.168.120.0/24; hosts hand out its addresses."),
    )  # fmt: skip
    bridge = forms.CharField(
        label=_("Bridge"), max_length=15, required=False,
        help_text=_("For a bridge or Open vSwitch: the interface that the hosts have, e.g. br0."),
    )  # fmt: skip
    vlan = forms.IntegerField(
        label=_("VLAN"), min_value=0, max_value=4094, required=False, help_text=_("The tag, for Open vSwitch.")
    )
    mtu = forms.IntegerField(
        label=_("MTU"), min_value=0, max_value=MOST_MTU, required=False,
        help_text=_("For NAT and isolated networks; empty: the usual, 1500. A bridge has its own."),
    )  # fmt: skip
    guard = forms.ChoiceField(
        label=_("Its cards may send as"), required=False,
        choices=[
            ("", _("themselves only (usual for the kind)")), *((value, _(label)) for value, label in Guard.choices)
        ],
    )  # fmt: skip

    def clean_vlan(self) -> int:
        return self.cleaned_data["vlan"] or 0

    def clean_mtu(self) -> int:
        return self.cleaned_data["mtu"] or 0


def offered_images() -> dict[str, str]:
    """The names of the files in the import directory; whether they are usable images is the action's to say."""
    try:
        found = [entry.name for entry in _files(import_directory())]
    except OSError:
        # It is made when the first image is put there; a folder that cannot be read offers nothing.
        return {}
    return {name: name for name in sorted(found)[:MOST_IMAGES]}


def _files(folder: Path) -> list[Path]:
    return [
        path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file() and not path.is_symlink()
    ]
