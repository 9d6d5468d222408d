"""The forms that change hosts and storage."""

from typing import Any

from django import forms
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import find
from broker.core.tables import complete
from broker.virt.actions.edit_host import edit_host
from broker.virt.actions.edit_storage import edit_storage
from broker.virt.models import Host, StorageDomain
from broker.virt.nfs_options import OPTIONS
from broker.virt.states import STORAGE
from portal.web import mount_fields
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm


class EditStorageForm(StyledForm):
    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=64,
        help_text=gettext_lazy("Letters, digits, dots, hyphens and underscores."),
    )  # fmt: skip


class StorageLevelsForm(EditStorageForm):
    warning_percent = forms.IntegerField(
        label=gettext_lazy("Warn when less is free, in %"), min_value=0, max_value=95, required=False
    )
    critical_percent = forms.IntegerField(
        label=gettext_lazy("Refuse new work when less is free, in %"), min_value=0, max_value=95, required=False,
        help_text=gettext_lazy("Machines that run go on; nothing new is put on it."),
    )  # fmt: skip
    wipe_after_delete = forms.BooleanField(
        label=gettext_lazy("Overwrite what is deleted there"), required=False,
        help_text=gettext_lazy("With zeroes, before it goes; a disk can say otherwise."),
    )  # fmt: skip

    def __init__(self, *args: Any, row: StorageDomain, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._mounted = row.kind == StorageDomain.Kind.NFS and not STORAGE.is_(row.state, "usable")
        if self._mounted:  # in maintenance alone, as the action has it
            mount_fields.add(self, row.mount)

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if self._mounted:
            values["mount"] = complete(OPTIONS, mount_fields.take(values))
        return values


class EditHostForm(EditStorageForm):
    uri = forms.CharField(
        label=gettext_lazy("Address"), max_length=255,
        help_text=gettext_lazy("It can be changed in maintenance; another host that answers there is refused."),
    )  # fmt: skip
    host_key = forms.CharField(
        label=gettext_lazy("SSH key of the host"), max_length=4096, required=False,
        help_text=gettext_lazy("For qemu+ssh. Emptied, the next key that the host shows counts."),
    )  # fmt: skip
    may_sleep = forms.BooleanField(
        label=gettext_lazy("May be switched off to save power"), required=False,
        help_text=gettext_lazy(
            "Where its cluster saves power and switches empty hosts off. It needs a fence device, by which it is woken."
        ),
    )  # fmt: skip


class EditHost(FormPage):
    def form(self, data: Any, pk: Any) -> EditHostForm:
        host = find(self.actor, Host, pk, "host.manage")
        known = {name: getattr(host, name) for name in ("name", "uri", "host_key", "may_sleep")}
        return EditHostForm(data, initial=known)

    def make(self, values: dict[str, Any], pk: Any) -> str:
        edit_host(actor=self.actor, host=find(self.actor, Host, pk), **values)
        return reverse("portal:host", args=[pk])

    def words(self, pk: Any) -> dict[str, Any]:
        return _words(find(self.actor, Host, pk).name, reverse("portal:host", args=[pk]))


class EditStorage(FormPage):
    def form(self, data: Any, pk: Any) -> StorageLevelsForm:
        row = find(self.actor, StorageDomain, pk, "storage.manage")
        initial = {name: getattr(row, name) for name in StorageLevelsForm.base_fields}
        return StorageLevelsForm(data, initial=initial, row=row)

    def make(self, values: dict[str, Any], pk: Any) -> str:
        edit_storage(actor=self.actor, storage=find(self.actor, StorageDomain, pk), **values)
        return reverse("portal:storage-one", args=[pk])

    def words(self, pk: Any) -> dict[str, Any]:
        return _words(find(self.actor, StorageDomain, pk).name, reverse("portal:storage-one", args=[pk]))


def _words(name: str, back: str) -> dict[str, Any]:
    return {"title": _("Edit %(name)s") % {"name": name}, "submit": _("Save"), "back_url": back, "back_label": name}
