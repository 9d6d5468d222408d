"""The forms of template versions: made from a machine, and their notes."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from broker.access.actor import Actor
from broker.access.require import visible_to
from broker.virt.models import StorageDomain, VirtualMachine, VmTemplate

from .forms import StyledForm, offer


class NotesForm(StyledForm):
    notes = forms.CharField(
        label=_("Notes"), max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("What is new in this version."),
    )  # fmt: skip


class MakeVersionForm(NotesForm):
    """What becomes of a machine's disk; `still`: of one that nobody writes, whatever the machine does."""

    template = forms.ModelChoiceField(label=_("Template"), queryset=VmTemplate.objects.none())
    storage = forms.ModelChoiceField(
        label=_("Storage"), queryset=StorageDomain.objects.none(), required=False,
        empty_label=_("where the template's newest version is"),
    )  # fmt: skip
    seal = forms.BooleanField(
        label=_("Seal the image"), required=False, initial=True,
        help_text=_(
            "Takes host keys, the machine's id, logs, histories, leases and the state of cloud-init out of the copy. "
            "The machine itself stays as it is."
        ),
    )  # fmt: skip
    inside = forms.BooleanField(
        label=_("Seal inside the machine first"), required=False,
        help_text=_(
            "For disks that cannot be read from outside (XFS, Btrfs, LVM, encrypted): its guest agent does the same "
            "in the running machine, which loses them, too."
        ),
    )  # fmt: skip
    running = forms.ChoiceField(
        label=_("The machine is running"),
        choices=[
            ("live", _("Copy it while it runs")),
            ("shut_down", _("Shut it down for the copy, then start it again")),
        ],
        help_text=_(
            "While it runs, its guest agent holds the file systems for a moment; without one the copy is as after a "
            "power cut. Save open work before it is shut down."
        ),
    )  # fmt: skip

    field_order = ("template", "storage", "notes", "seal", "inside", "running")

    def __init__(self, *args: Any, actor: Actor, vm: VirtualMachine, still: bool = False, **kwargs: Any):
        super().__init__(*args, **kwargs)
        templates = visible_to(actor, VmTemplate.objects.filter(cluster=vm.cluster_id), "template.manage")
        offer(self, "template", templates)
        offer(self, "storage", visible_to(actor, StorageDomain.objects.filter(cluster=vm.cluster_id)))
        if vm.template_version is not None:
            self.fields["template"].initial = vm.template_version.template_id
        if still or vm.power_state != "running":
            del self.fields["inside"], self.fields["running"]

    def clean(self) -> dict[str, Any]:
        """The choice under the name that the action has for it."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if how := values.pop("running", None):
            values[how] = True
        return values
