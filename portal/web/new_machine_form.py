"""The form of a new machine: from a template, an image, a CD or nothing, its hardware, and what its guest is told."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from broker.access.actor import Actor
from broker.access.require import visible_to
from broker.core.errors import BerthError, Invalid
from broker.virt.instance_types import instance_types
from broker.virt.models import Image, InstanceType, Network, Nic, StorageDomain, TemplateVersion
from broker.virt.origins import MACHINES

from . import option_fields
from .forms import dressed, offer
from .guest_words import WORDS, GuestWords
from .image_words import proposal_of
from .parts import error_sentences

GIB = 1 << 30


def _told(image: Image) -> str:
    return f"{image.name} ({proposal_of(image)})" if image.proposal else image.name


class NewMachineForm(GuestWords):
    """What is left empty comes from the template or the image."""

    name = forms.CharField(label=_("Name"), max_length=64, help_text=_("Letters, digits, dots and hyphens."))
    title = forms.CharField(
        label=_("Title"), max_length=128, required=False, help_text=_("What users read on the card.")
    )
    version = forms.ModelChoiceField(
        label=_("Template"), queryset=TemplateVersion.objects.none(), required=False, empty_label=_("none")
    )
    image = forms.ModelChoiceField(
        label=_("Image"), queryset=Image.objects.none(), required=False, empty_label=_("none"),
        help_text=_("A disk of the library, copied."),
    )  # fmt: skip
    disk_gib = forms.IntegerField(
        label=_("Disk in GiB"), min_value=1, max_value=65536, required=False,
        help_text=_("Without a template: the size of a blank disk, or of the image's copy."),
    )  # fmt: skip
    cd = forms.ModelChoiceField(
        label=_("CD"), queryset=Image.objects.none(), required=False, empty_label=_("none"),
        help_text=_("It boots from it while its disk holds no system."),
    )  # fmt: skip
    storage = forms.ModelChoiceField(
        label=_("Storage"), queryset=StorageDomain.objects.none(), required=False,
        empty_label=_("where the template or the image is"),
    )  # fmt: skip
    network = forms.ModelChoiceField(
        label=_("Network"), queryset=Network.objects.none(), required=False, empty_label=_("none")
    )
    card = forms.ChoiceField(
        label=_("Network card"), choices=Nic.Model.choices, required=False,
        help_text=_("virtio is fastest; e1000e is for systems without its driver."),
    )  # fmt: skip
    instance_type = forms.ModelChoiceField(
        label=_("Instance type"), queryset=InstanceType.objects.none(), required=False, empty_label=_("none"),
        help_text=_("Its size, where nothing else is said below."),
    )  # fmt: skip
    vcpus = forms.IntegerField(label=_("Processors"), min_value=1, required=False)
    memory_mib = forms.IntegerField(label=_("Memory in MiB"), min_value=64, required=False)
    start = forms.BooleanField(label=_("Start it when it is made"), required=False, initial=True)
    linked = forms.BooleanField(
        label=_("Linked clone"), required=False, initial=True,
        help_text=_("Made at once and small, on top of the template's image. Without it the image is copied."),
    )  # fmt: skip
    machine = forms.ChoiceField(
        label=_("Type"), required=False,
        choices=[("", _("as the template has it, else q35")), *((one, one) for one in MACHINES)],
    )  # fmt: skip
    description = forms.CharField(
        label=_("Description"), max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )
    CLOSED = (option_fields.NAMES, WORDS)
    GROUPS = (
        (_("What it is"), "", ("name", "title", "description")),
        (
            _("What it is made from"), _("A template; or an image; or the size of a disk, with a CD."),
            ("version", "linked", "image", "disk_gib", "cd", "storage"),
        ),
        (
            _("Hardware"), _("Empty: as the template, the image or the instance type has it."),
            ("instance_type", "vcpus", "memory_mib", "network", "card", "machine", "start"),
        ),
        (
            _("More hardware"), _("Firmware, TPM, processor, screen, boot order; all of it can be changed later."),
            option_fields.NAMES,
        ),
        (_("First start"), _("What cloud-init tells its guest."), WORDS),
    )  # fmt: skip

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.fields.update((name, dressed(field)) for name, field in option_fields.option_fields())
        images = visible_to(actor, Image).filter(state="ready")
        versions = visible_to(actor, TemplateVersion).filter(state="ready").select_related("template")
        offer(self, "version", versions)
        offer(self, "image", images.filter(kind="disk"))
        field = self.fields["image"]
        assert isinstance(field, forms.ModelChoiceField)
        field.label_from_instance = _told  # type: ignore[method-assign,assignment]
        offer(self, "cd", images.filter(kind="iso"))
        offer(self, "instance_type", instance_types(actor))
        offer(self, "storage", visible_to(actor, StorageDomain))
        offer(self, "network", visible_to(actor, Network))

    def wish(self) -> dict[str, Any]:
        """What the action is asked for."""
        wish: dict[str, Any] = dict(self.cleaned_data)
        words = self.words(wish)
        gib = wish.pop("disk_gib")
        return (
            wish
            | option_fields.chosen(wish)
            | {
                "disk_bytes": gib * GIB if gib else None,
                "machine": wish["machine"] or None,
                "card": wish["card"] or Nic.Model.VIRTIO,
                "cloud_init": words,
            }
        )

    def refuse(self, error: BerthError) -> None:
        """As every form; what the action calls the disk's bytes is the field of its GiB."""
        if isinstance(error, Invalid) and error.field in ("disk_bytes", "size_bytes"):
            cause, fix = error_sentences(error)
            self.refusal = error
            self.add_error("disk_gib", f"{cause} {fix}".strip())
            return
        super().refuse(error)
