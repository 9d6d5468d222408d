"""Backing a machine up and restoring from a backup: forms that name what will be lost."""

from typing import Any

from django import forms
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import find, visible_to
from broker.backups.actions.back_up import back_up
from broker.backups.actions.restore_as_new import restore_as_new
from broker.backups.actions.restore_backup import restore_backup
from broker.backups.models import Backup, BackupTarget
from broker.backups.queries import targets_for
from broker.core.errors import Missing
from broker.core.text import gettext_noop as N_
from broker.virt.models import StorageDomain, VirtualMachine
from portal.web.checks import Checks
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm, offer


class BackUpForm(StyledForm):
    target = forms.ModelChoiceField(label=gettext_lazy("Target"), queryset=BackupTarget.objects.none())
    full = forms.BooleanField(
        label=gettext_lazy("Full"), required=False,
        help_text=gettext_lazy("Without it only what changed since the last one is copied, where that is known."),
    )  # fmt: skip


class RestoreForm(StyledForm):
    disks = forms.MultipleChoiceField(
        label=gettext_lazy("Disks"), required=False, widget=Checks,
        help_text=gettext_lazy("None chosen: all of them. The others stay as they are."),
    )  # fmt: skip
    start = forms.BooleanField(label=gettext_lazy("Start it afterwards"), required=False)
    sure = forms.BooleanField(label=gettext_lazy("What is on these disks now may be lost"))


class RestoreNewForm(StyledForm):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=64)
    storage = forms.ModelChoiceField(label=gettext_lazy("Storage"), queryset=StorageDomain.objects.none())
    start = forms.BooleanField(label=gettext_lazy("Start it when it is made"), required=False)


class BackUp(FormPage):
    def form(self, data: Any, pk: Any) -> BackUpForm:
        form, vm = BackUpForm(data), find(self.actor, VirtualMachine, pk, "vm.backup")
        offer(form, "target", targets_for(self.actor).filter(cluster=vm.cluster_id))
        return form

    def make(self, values: dict[str, Any], pk: Any) -> str:
        back_up(actor=self.actor, vm=find(self.actor, VirtualMachine, pk), **values)
        return reverse("portal:vm-backups", args=[pk])

    def words(self, pk: Any) -> dict[str, Any]:
        vm = find(self.actor, VirtualMachine, pk)
        return {
            "title": _("Back up %(name)s") % {"name": vm.title or vm.name},
            "under": _("It goes on running meanwhile."),
            "submit": _("Back it up"),
            "back_url": reverse("portal:vm-backups", args=[pk]),
            "back_label": _("Backups"),
        }


class Restore(FormPage):
    def form(self, data: Any, pk: Any) -> RestoreForm:
        form, backup = RestoreForm(data), find(self.actor, Backup, pk, "backup.restore")
        field = form.fields["disks"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = [(disk.target, disk.target) for disk in backup.disks.all()]
        return form

    def make(self, values: dict[str, Any], pk: Any) -> str:
        backup = find(self.actor, Backup, pk)
        if backup.vm is None:
            raise Missing(N_("The machine of this backup is gone."), fix=N_("Restore it as a new machine."))
        restore_backup(
            actor=self.actor, backup=backup, vm=backup.vm, disks=values["disks"], start=values["start"]
        )  # fmt: skip
        return reverse("portal:vm-backups", args=[backup.vm_id])

    def words(self, pk: Any) -> dict[str, Any]:
        backup = find(self.actor, Backup, pk)
        under = _(
            "%(name)s is powered off if it runs, and its disks become what they were on %(moment)s. All that was "
            "written since is lost; a backup made now would keep it."
        )
        told = {"name": backup.vm_name, "moment": f"{backup.created_at:%Y-%m-%d %H:%M} UTC"}
        return _about(backup, _("Put %(name)s back") % {"name": backup.vm_name}, under % told, _("Put it back"))


class RestoreNew(FormPage):
    def form(self, data: Any, pk: Any) -> RestoreNewForm:
        backup = find(self.actor, Backup, pk, "backup.restore")
        form = RestoreNewForm(data, initial={"name": f"{backup.vm_name}-restored"[:64]})
        offer(form, "storage", visible_to(self.actor, StorageDomain.objects.filter(cluster=backup.target.cluster_id)))
        return form

    def make(self, values: dict[str, Any], pk: Any) -> str:
        job = restore_as_new(actor=self.actor, backup=find(self.actor, Backup, pk), **values)
        return reverse("portal:vm", args=[job.subject_id])

    def words(self, pk: Any) -> dict[str, Any]:
        backup = find(self.actor, Backup, pk)
        under = _("A new machine with the disks as they were; the one it came from stays as it is.")
        return _about(backup, _("Restore %(name)s as new") % {"name": backup.vm_name}, under, _("Restore it"))


def _about(backup: Backup, title: str, under: str, submit: str) -> dict[str, Any]:
    back = reverse("portal:backup", args=[backup.pk])
    return {"title": title, "under": under, "submit": submit, "back_url": back, "back_label": str(backup)}
