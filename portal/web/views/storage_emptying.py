"""Emptying a storage: where to, and whose disks would move."""

from typing import Any

from django import forms
from django.db.models import Sum
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import find, visible_to
from broker.virt.actions.evacuate_storage import evacuate_storage
from broker.virt.models import Disk, StorageDomain
from broker.virt.states import StorageState
from portal.templatetags.berth import bytesize
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm, offer


class TargetForm(StyledForm):
    target = forms.ModelChoiceField(label=gettext_lazy("To the storage"), queryset=StorageDomain.objects.none())


class EmptyStorage(FormPage):
    def form(self, data: Any, pk: Any) -> TargetForm:
        row = find(self.actor, StorageDomain, pk, "storage.manage")
        form = TargetForm(data)
        others = StorageDomain.objects.filter(cluster=row.cluster_id, state=StorageState.ACTIVE).exclude(pk=row.pk)
        offer(form, "target", visible_to(self.actor, others))
        return form

    def make(self, values: dict[str, Any], pk: Any) -> str:
        job = evacuate_storage(actor=self.actor, storage=find(self.actor, StorageDomain, pk), **values)
        return reverse("portal:job", args=[job.pk])

    def words(self, pk: Any) -> dict[str, Any]:
        row = find(self.actor, StorageDomain, pk)
        disks = Disk.objects.filter(storage=row)
        machines = disks.values("vm").distinct().count()
        size = disks.aggregate(all=Sum("size_bytes"))["all"] or 0
        return {
            "title": _("Empty %(name)s") % {"name": row.name},
            "under": _("The disks of %(machines)s machines, %(size)s at most, are moved while they run; then it is in "
                       "maintenance, unless images of templates are left on it. What was moved stays moved when you "
                       "cancel the job.")
            % {"machines": machines, "size": bytesize(size)},
            "submit": _("Move everything away"),
            "back_url": reverse("portal:storage-one", args=[pk]),
            "back_label": row.name,
        }  # fmt: skip
