"""How a disk is written to: the form, and the words of it."""

from typing import Any

from django import forms
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import find
from broker.virt import pending
from broker.virt.actions.edit_disk import edit_disk
from broker.virt.models import Disk, VirtualMachine
from broker.virt.models.disk import Wipe
from broker.virt.pending_parts import PARTS
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm

NAMES = ("read_only", "discard", "detect_zeroes", "wipe_after_delete")


def _choices(known: Any) -> list[tuple[str, Any]]:
    return [("", gettext_lazy("as it is")), *((value, gettext_lazy(label)) for value, label in known.choices)]


class EditDiskForm(StyledForm):
    read_only = forms.BooleanField(
        label=gettext_lazy("Read-only"), required=False,
        help_text=gettext_lazy("The guest cannot write to it. No snapshot holds it then."),
    )  # fmt: skip
    discard = forms.ChoiceField(
        label=gettext_lazy("What the guest discards"), choices=_choices(Disk.Discard), required=False
    )
    detect_zeroes = forms.ChoiceField(
        label=gettext_lazy("Zeroes that the guest writes"), choices=_choices(Disk.Zeroes), required=False,
        help_text=gettext_lazy("Looking for them takes some of the processor."),
    )  # fmt: skip
    wipe_after_delete = forms.ChoiceField(
        label=gettext_lazy("When it is deleted"), choices=_choices(Wipe), required=False,
        help_text=gettext_lazy("Overwriting takes about as long as copying the disk. This counts at once."),
    )  # fmt: skip


def kept_as(disk: Disk) -> str:
    """In a few words, where it is not as usual."""
    words = [_("read-only")] if disk.read_only else []
    if disk.discard == Disk.Discard.IGNORE:
        words.append(_("discard is ignored"))
    if disk.detect_zeroes not in ("", Disk.Zeroes.OFF):
        words.append(_("zeroes are looked for"))
    if disk.wipe_after_delete != Wipe.STORAGE:
        words.append(_("wiped when deleted") if disk.wipe_after_delete == Wipe.ON else _("not wiped when deleted"))
    return ", ".join(words)


class EditDisk(FormPage):
    def form(self, data: Any, pk: Any, disk: Any) -> EditDiskForm:
        row = self._disk(pk, disk)
        after = PARTS["disks"].changed(row, pending.of_part(pending.of(row.vm), row))
        return EditDiskForm(data, initial={name: getattr(after, name) for name in NAMES})

    def make(self, values: dict[str, Any], pk: Any, disk: Any) -> str:
        given = {name: value for name, value in values.items() if value != ""}
        edit_disk(actor=self.actor, disk=self._disk(pk, disk), **given)
        return reverse("portal:vm-disks", args=[pk])

    def words(self, pk: Any, disk: Any) -> dict[str, Any]:
        return {
            "title": _("Change the disk %(target)s") % {"target": self._disk(pk, disk).target},
            "under": _("Of a machine that runs it changes with the next start."),
            "submit": _("Save"),
            "back_url": reverse("portal:vm-disks", args=[pk]),
            "back_label": _("Disks and snapshots"),
        }

    def _disk(self, pk: Any, disk: Any) -> Disk:
        from .disks import disk_of

        return disk_of(find(self.actor, VirtualMachine, pk, "vm.edit"), disk)
