"""The forms of a machine's disks and snapshots."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from broker.access.actor import Actor
from broker.access.require import visible_to
from broker.virt.models import Disk, StorageDomain, VirtualMachine
from broker.virt.models.disk import Wipe

from .forms import StyledForm, offer

GIB = 1 << 30


class NewDiskForm(StyledForm):
    size_gib = forms.IntegerField(label=_("Size in GiB"), min_value=1, max_value=65536, initial=10)
    storage = forms.ModelChoiceField(
        label=_("Storage"), queryset=StorageDomain.objects.none(), required=False,
        empty_label=_("where its first disk is"),
    )  # fmt: skip
    wipe_after_delete = forms.ChoiceField(
        label=_("When it is deleted"), choices=[(value, _(label)) for value, label in Wipe.choices], required=False,
        initial=Wipe.STORAGE, help_text=_("Overwriting takes about as long as copying the disk."),
    )  # fmt: skip

    def __init__(self, *args: Any, actor: Actor, vm: VirtualMachine, **kwargs: Any):
        super().__init__(*args, **kwargs)
        offer(self, "storage", visible_to(actor, StorageDomain.objects.filter(cluster=vm.cluster_id)))


class GrowDiskForm(StyledForm):
    size_gib = forms.IntegerField(
        label=_("New size in GiB"), min_value=1, max_value=65536,
        help_text=_("A disk cannot shrink. The guest's file system is grown in the guest."),
    )  # fmt: skip


class SnapshotForm(StyledForm):
    name = forms.CharField(label=_("Name"), max_length=64)
    description = forms.CharField(
        label=_("Description"), max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )
    disks = forms.ModelMultipleChoiceField(
        label=_("Disks"), queryset=Disk.objects.none(), required=False, help_text=_("None chosen: all of them.")
    )
    memory = forms.BooleanField(
        label=_("With memory"), required=False,
        help_text=_("Going back to it, the machine goes on where it was. The machine stands still for a moment."),
    )  # fmt: skip
    quiesce = forms.BooleanField(
        label=_("Settle the file systems first"), required=False, help_text=_("The guest agent does it."),
    )  # fmt: skip

    def __init__(self, *args: Any, vm: VirtualMachine, **kwargs: Any):
        super().__init__(*args, **kwargs)
        field = self.fields["disks"]
        assert isinstance(field, forms.ModelMultipleChoiceField)
        field.queryset = vm.disks.all()
        field.label_from_instance = lambda obj: str(obj.target)  # type: ignore[method-assign,assignment]
        if vm.power_state not in ("running", "paused"):
            del self.fields["memory"], self.fields["quiesce"]

    def clean_disks(self) -> Any:
        return list(self.cleaned_data["disks"]) or None
