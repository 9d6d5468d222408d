"""Disks on their way to another storage: the form, with what it will take."""

from typing import Any

from django import forms
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.actor import Actor
from broker.access.require import find, may, visible_to
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE
from broker.virt.actions.convert_disk import convert_disk
from broker.virt.actions.move_disks import MOST_MIB, move_disks
from broker.virt.actions.pace_move import PLAN, pace_move
from broker.virt.disk_rules import most_taken
from broker.virt.models import Disk, StorageDomain, VirtualMachine
from portal.templatetags.berth import bytesize
from portal.web.checks import Checks
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm, offer
from portal.web.parts import Action


class MoveForm(StyledForm):
    storage = forms.ModelChoiceField(label=gettext_lazy("To the storage"), queryset=StorageDomain.objects.none())
    disks = forms.ModelMultipleChoiceField(
        label=gettext_lazy("Disks"), queryset=Disk.objects.none(), required=False, widget=Checks,
        help_text=gettext_lazy("None chosen: all that are not there."),
    )  # fmt: skip
    bandwidth_mib = forms.IntegerField(
        label=gettext_lazy("At most MiB a second"), min_value=0, max_value=MOST_MIB, required=False,
        help_text=gettext_lazy("While it runs. Empty: no limit."),
    )  # fmt: skip

    def clean_disks(self) -> Any:
        return list(self.cleaned_data["disks"]) or None

    def clean_bandwidth_mib(self) -> int:
        return self.cleaned_data["bandwidth_mib"] or 0


class ConvertForm(StyledForm):
    bandwidth_mib = forms.IntegerField(
        label=gettext_lazy("At most MiB a second"), min_value=0, max_value=MOST_MIB, required=False,
        help_text=gettext_lazy("While it runs. Empty: no limit."),
    )  # fmt: skip


class ConvertDisk(FormPage):
    """To the format that it has not."""

    def form(self, data: Any, pk: Any, disk: Any) -> ConvertForm:
        self._disk(pk, disk)
        return ConvertForm(data)

    def make(self, values: dict[str, Any], pk: Any, disk: Any) -> str:
        row = self._disk(pk, disk)
        convert_disk(
            actor=self.actor, disk=row, image_format=other_format(row), bandwidth_mib=values["bandwidth_mib"] or 0
        )
        return reverse("portal:vm-disks", args=[pk])

    def words(self, pk: Any, disk: Any) -> dict[str, Any]:
        row = self._disk(pk, disk)
        to_raw = _(
            "Its image is written anew as raw; the machine goes on meanwhile. A raw image is a little faster, may take "
            "its full size of %(size)s, and bears no notes of what changed: each backup of the machine is a full one."
        )
        to_qcow2 = _(
            "Its image is written anew as qcow2; the machine goes on meanwhile. Backups can be incremental then."
        )
        told = {"target": row.target, "format": other_format(row)}
        return {
            "title": _("Convert the disk %(target)s to %(format)s") % told,
            "under": to_raw % {"size": bytesize(row.size_bytes)} if row.format == "qcow2" else to_qcow2,
            "submit": _("Convert it"),
            "back_url": reverse("portal:vm-disks", args=[pk]),
            "back_label": _("Disks and snapshots"),
        }

    def _disk(self, pk: Any, disk: Any) -> Disk:
        from .disks import disk_of

        return disk_of(find(self.actor, VirtualMachine, pk, "vm.edit"), disk)


def other_format(disk: Disk) -> str:
    return "qcow2" if disk.format == "raw" else "raw"


class MoveDisks(FormPage):
    def form(self, data: Any, pk: Any) -> MoveForm:
        vm = self._vm(pk)
        form = MoveForm(data)
        here = StorageDomain.objects.filter(cluster=vm.cluster_id)
        offer(form, "storage", visible_to(self.actor, here.filter(host=None) | here.filter(host=vm.host_id)))
        field = form.fields["disks"]
        assert isinstance(field, forms.ModelMultipleChoiceField)
        field.queryset = vm.disks.select_related("storage")
        field.label_from_instance = _label  # type: ignore[method-assign,assignment]
        return form

    def make(self, values: dict[str, Any], pk: Any) -> str:
        move_disks(actor=self.actor, vm=self._vm(pk), **values)
        return reverse("portal:vm-disks", args=[pk])

    def words(self, pk: Any) -> dict[str, Any]:
        vm = self._vm(pk)
        under = _(
            "It goes on running meanwhile. At most %(size)s are copied; cancelled, the disks stay where they are. What "
            "lay on a template's image is whole of itself afterwards."
        )
        size = sum(most_taken(vm, disk) for disk in vm.disks.all())
        return {
            "title": _("Move disks of %(name)s") % {"name": vm.title or vm.name},
            "under": under % {"size": bytesize(size)},
            "submit": _("Move them"),
            "back_url": reverse("portal:vm-disks", args=[vm.pk]),
            "back_label": _("Disks and snapshots"),
        }

    def _vm(self, pk: Any) -> VirtualMachine:
        return find(self.actor, VirtualMachine, pk, "vm.edit")


class PaceForm(StyledForm):
    bandwidth_mib = forms.IntegerField(
        label=gettext_lazy("At most MiB a second"), min_value=0, max_value=MOST_MIB, required=False,
        help_text=gettext_lazy("Empty: no limit."),
    )  # fmt: skip
    paused = forms.BooleanField(
        label=gettext_lazy("Hold it"), required=False,
        help_text=gettext_lazy("What is copied stays copied; the guest goes on, and nothing is put over meanwhile."),
    )  # fmt: skip


class PaceMove(FormPage):
    """How fast the copy under way goes, or that it does not."""

    def form(self, data: Any, pk: Any) -> PaceForm:
        job = _copying(find(self.actor, VirtualMachine, pk, "vm.edit"))
        args = job.args if job else {}
        now = {"bandwidth_mib": args.get("bandwidth", 0) >> 20 or None, "paused": args.get("paused", False)}
        return PaceForm(data, initial=now)

    def make(self, values: dict[str, Any], pk: Any) -> str:
        vm = find(self.actor, VirtualMachine, pk, "vm.edit")
        pace_move(actor=self.actor, vm=vm, bandwidth_mib=values["bandwidth_mib"] or 0, paused=values["paused"])
        return reverse("portal:vm-disks", args=[pk])

    def words(self, pk: Any) -> dict[str, Any]:
        vm = find(self.actor, VirtualMachine, pk, "vm.edit")
        return {
            "title": _("Pace of the disks of %(name)s") % {"name": vm.title or vm.name},
            "under": _("They are being copied while it runs."),
            "submit": _("Save"),
            "back_url": reverse("portal:vm-disks", args=[vm.pk]),
            "back_label": _("Disks and snapshots"),
        }


def _copying(vm: VirtualMachine) -> Job | None:
    return Job.objects.filter(subject_kind="vm", subject_id=vm.pk, state__in=ACTIVE, plan=PLAN).first()


def _label(disk: Any) -> str:
    return f"{disk.target} · {bytesize(disk.size_bytes)} · {disk.storage.name}"


def cancel_of(actor: Actor, job: Job | None) -> list[Action]:
    """The way to take back what is under way, for those who may."""
    stoppable = ("vm.move-disks", "vm.delete-snapshot", "vm.export-disk")
    if job is None or job.plan not in stoppable or not may(actor, "job.cancel", job):
        return []
    cancel = Action(_("Cancel"), reverse("portal:job-cancel", args=[job.pk]), "x")
    if job.plan != PLAN or job.args.get("mode") != "live":
        return [cancel]
    pace = reverse("portal:disks-pace", args=[job.subject_id])
    return [Action(_("Pace and pause"), pace, "adjustments", link=True), cancel]
