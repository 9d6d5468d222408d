"""What is made from a snapshot: a machine of its own, or a template version; and a look at it."""

from typing import Any

from django import forms
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import find
from broker.virt.actions.clone_vm import clone_vm
from broker.virt.actions.commit_preview import commit_preview
from broker.virt.actions.make_template_version import make_template_version
from broker.virt.actions.preview_snapshot import preview_snapshot
from broker.virt.actions.undo_preview import undo_preview
from broker.virt.models import Snapshot, VirtualMachine
from portal.web.base import Deed, done
from portal.web.change_forms import CloneForm
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm
from portal.web.version_forms import MakeVersionForm

from .disks import snapshot_of


class _SnapshotForm(FormPage):
    def snapshot(self, pk: Any, snapshot: Any) -> Snapshot:
        return snapshot_of(find(self.actor, VirtualMachine, pk, "vm.edit"), snapshot)

    def back(self, one: Snapshot) -> dict[str, str]:
        return {"back_url": reverse("portal:vm-disks", args=[one.vm_id]), "back_label": _("Disks and snapshots")}


class CloneSnapshot(_SnapshotForm):
    def form(self, data: Any, pk: Any, snapshot: Any) -> CloneForm:
        self.snapshot(pk, snapshot)
        return CloneForm(data, actor=self.actor)

    def make(self, values: dict[str, Any], pk: Any, snapshot: Any) -> str:
        one = self.snapshot(pk, snapshot)
        job = clone_vm(actor=self.actor, vm=one.vm, snapshot=one, **values)
        return reverse("portal:vm", args=[job.subject_id])

    def words(self, pk: Any, snapshot: Any) -> dict[str, Any]:
        one = self.snapshot(pk, snapshot)
        return {
            "title": _("Clone %(name)s from the snapshot %(snapshot)s")
            % {"name": one.vm.title or one.vm.name, "snapshot": one.name},
            "under": _("A full copy of its disks as they were then, with today's hardware. It may go on running."),
            "submit": _("Make the copy"),
            **self.back(one),
        }


class MakeVersionOfSnapshot(_SnapshotForm):
    verb = "template.manage"

    def form(self, data: Any, pk: Any, snapshot: Any) -> MakeVersionForm:
        return MakeVersionForm(data, actor=self.actor, vm=self.snapshot(pk, snapshot).vm, still=True)

    def make(self, values: dict[str, Any], pk: Any, snapshot: Any) -> str:
        one = self.snapshot(pk, snapshot)
        make_template_version(actor=self.actor, vm=one.vm, snapshot=one, **values)
        return reverse("portal:template", args=[values["template"].pk])

    def words(self, pk: Any, snapshot: Any) -> dict[str, Any]:
        one = self.snapshot(pk, snapshot)
        return {
            "title": _("Make a template version from the snapshot %(snapshot)s") % {"snapshot": one.name},
            "under": _("Its first disk is copied as it was then. The machine may go on running."),
            "submit": _("Make the version"),
            **self.back(one),
        }


class PreviewForm(StyledForm):
    memory = forms.BooleanField(
        label=gettext_lazy("With its memory"), required=False, initial=True,
        help_text=gettext_lazy("It goes on where it was."),
    )  # fmt: skip
    start = forms.BooleanField(label=gettext_lazy("Start it"), required=False, initial=True)


class PreviewSnapshot(_SnapshotForm):
    def form(self, data: Any, pk: Any, snapshot: Any) -> PreviewForm:
        form = PreviewForm(data)
        if not self.snapshot(pk, snapshot).memory:
            del form.fields["memory"]
        return form

    def make(self, values: dict[str, Any], pk: Any, snapshot: Any) -> str:
        preview_snapshot(actor=self.actor, snapshot=self.snapshot(pk, snapshot), **values)
        return reverse("portal:vm-disks", args=[pk])

    def words(self, pk: Any, snapshot: Any) -> dict[str, Any]:
        one = self.snapshot(pk, snapshot)
        return {
            "title": _("Look at the snapshot %(snapshot)s") % {"snapshot": one.name},
            "under": _("The machine has its disks as they were then. What it has now is kept until you choose."),
            "submit": _("Look at it"),
            **self.back(one),
        }


class CommitPreview(Deed):
    def do(self, pk: Any) -> HttpResponse:
        commit_preview(actor=self.actor, vm=find(self.actor, VirtualMachine, pk))
        return done(self.request, _("This state is kept."))


class UndoPreview(Deed):
    def do(self, pk: Any) -> HttpResponse:
        undo_preview(actor=self.actor, vm=find(self.actor, VirtualMachine, pk))
        return done(self.request, _("The machine goes back to what it had before."))
