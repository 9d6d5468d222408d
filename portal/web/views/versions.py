"""Making a template version from a machine, and what is noted of a version."""

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.require import find, may
from broker.core.errors import Denied
from broker.core.text import gettext_noop as N_
from broker.virt.actions.edit_template_version import edit_template_version
from broker.virt.actions.make_template_version import make_template_version
from broker.virt.models import TemplateVersion, VirtualMachine
from portal.web.form_page import FormPage
from portal.web.version_forms import MakeVersionForm, NotesForm


class MakeVersion(FormPage):
    verb = "template.manage"

    def form(self, data: Any, pk: Any) -> MakeVersionForm:
        return MakeVersionForm(data, actor=self.actor, vm=find(self.actor, VirtualMachine, pk, "vm.edit"))

    def make(self, values: dict[str, Any], pk: Any) -> str:
        vm = find(self.actor, VirtualMachine, pk)
        make_template_version(actor=self.actor, vm=vm, **values)
        return reverse("portal:template", args=[values["template"].pk])

    def words(self, pk: Any) -> dict[str, Any]:
        vm = find(self.actor, VirtualMachine, pk)
        holder = getattr(getattr(vm, "desktop", None), "holder", None)
        under = _("Its disk is copied as it is now. Machines and pools can be made from the copy.")
        if holder is not None:
            under = _("It is %(user)s's desktop: all that is stored on it will be in the copy, too.") % {"user": holder}
        return {
            "title": _("Make a template version from %(name)s") % {"name": vm.title or vm.name},
            "under": under,
            "submit": _("Make the version"),
            "back_url": reverse("portal:vm", args=[pk]),
            "back_label": vm.title or vm.name,
        }


class EditNotes(FormPage):
    verb = "template.manage"

    def form(self, data: Any, pk: Any) -> NotesForm:
        return NotesForm(data, initial={"notes": self._version(pk).notes})

    def make(self, values: dict[str, Any], pk: Any) -> str:
        version = edit_template_version(actor=self.actor, version=self._version(pk), **values)
        return reverse("portal:template", args=[version.template_id])

    def words(self, pk: Any) -> dict[str, Any]:
        version = self._version(pk)
        return {
            "title": _("Notes on %(version)s") % {"version": version},
            "under": _("Their first line is told to users for whose desktop this version waits."),
            "submit": _("Save"),
            "back_url": reverse("portal:template", args=[version.template_id]),
            "back_label": version.template.name,
        }

    def _version(self, pk: Any) -> TemplateVersion:
        version = find(self.actor, TemplateVersion, pk)
        if not may(self.actor, "template.manage", version.template):
            raise Denied(N_("You may only look at this template."), fix=N_("Ask an administrator for its role."))
        return version
