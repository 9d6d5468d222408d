"""The forms of machines: making one from a template, changing one."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.require import find
from broker.core.errors import BerthError
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.edit_vm import edit_vm
from broker.virt.models import VirtualMachine
from portal.web.base import SignedIn, refuse
from portal.web.change_forms import ChangeForm
from portal.web.forms import StyledForm
from portal.web.new_machine_form import NewMachineForm


class NewMachine(SignedIn):
    def get(self, request: HttpRequest) -> HttpResponse:
        return self._show(NewMachineForm(actor=self.actor))

    def post(self, request: HttpRequest) -> HttpResponse:
        form = NewMachineForm(request.POST, actor=self.actor)
        if form.is_valid():
            try:
                job = create_vm(actor=self.actor, **form.wish())
            except BerthError as error:
                refuse(request, form, error)
            else:
                return HttpResponseRedirect(reverse("portal:vm", args=[job.subject_id]))
        return self._show(form, status=400)

    def _show(self, form: StyledForm, status: int = 200) -> HttpResponse:
        context = {
            "form": form,
            "title": _("New machine"),
            "under": _("Made from a template, an image, a CD or nothing; its page tells how far it is."),
            "submit": _("Make the machine"),
            "back_url": reverse("portal:vms"),
            "back_label": _("Machines"),
        }
        return render(self.request, "portal/manage/new_machine.html", context, status=status)


class EditMachine(SignedIn):
    def get(self, request: HttpRequest, pk: Any) -> HttpResponse:
        vm = find(self.actor, VirtualMachine, pk, "vm.edit")
        return self._show(vm, ChangeForm(vm=vm))

    def post(self, request: HttpRequest, pk: Any) -> HttpResponse:
        vm = find(self.actor, VirtualMachine, pk)
        form = ChangeForm(request.POST, vm=vm)
        if form.is_valid():
            try:
                edit_vm(actor=self.actor, vm=vm, **form.wish())
            except BerthError as error:
                refuse(request, form, error)
            else:
                return HttpResponseRedirect(reverse("portal:vm", args=[vm.pk]))
        return self._show(vm, form, status=400)

    def _show(self, vm: VirtualMachine, form: StyledForm, status: int = 200) -> HttpResponse:
        context = {
            "form": form,
            "title": _("Edit %(name)s") % {"name": vm.title or vm.name},
            "under": _("What a running machine cannot take while it runs waits for its next start."),
            "submit": _("Save"),
            "back_url": reverse("portal:vm", args=[vm.pk]),
            "back_label": vm.title or vm.name,
        }
        return render(self.request, "portal/manage/form.html", context, status=status)
