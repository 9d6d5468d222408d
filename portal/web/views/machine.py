"""One machine: its page, its screen's picture, its power, its end."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.require import find
from broker.connections.consent import hidden_from
from broker.core.errors import Missing
from broker.core.text import gettext_noop as N_
from broker.virt import screens
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.models import VirtualMachine
from portal.context import holds
from portal.web.base import Deed, Page, SignedIn, done
from portal.web.machine_page import machine_page
from portal.web.machines import for_lists
from portal.web.verbs import POWER


class Machine(Page):
    template = "portal/machine.html"

    def content(self, pk: Any) -> dict[str, Any]:
        vm = find(self.actor, VirtualMachine, pk)
        vm = for_lists(VirtualMachine.objects.filter(pk=vm.pk)).get()
        asked = self.request.GET.get("range", "")
        return {"page": machine_page(self.actor, vm, managing=holds(self.actor, "vm.edit"), asked=asked)}


class Power(Deed):
    """One of the power verbs, by its name in the address."""

    def do(self, pk: Any, verb: str) -> HttpResponse:
        vm = find(self.actor, VirtualMachine, pk)
        if verb not in POWER:
            raise Missing(N_("There is no such action."), fix=N_("Go back and choose another."))
        POWER[verb].action(actor=self.actor, vm=vm)
        return done(self.request, POWER[verb].told)


class Connect(Deed):
    """Start (or resume) the machine and go to its screen, which tells how far it is."""

    def do(self, pk: Any) -> HttpResponse:
        vm = find(self.actor, VirtualMachine, pk)
        if vm.power_state == "paused":
            POWER["resume"].action(actor=self.actor, vm=vm)
        elif vm.power_state != "running":
            POWER["start"].action(actor=self.actor, vm=vm)
        return HttpResponseRedirect(reverse("portal:console", args=[vm.pk]))


class Delete(Deed):
    def do(self, pk: Any) -> HttpResponse:
        vm = find(self.actor, VirtualMachine, pk)
        delete_vm(actor=self.actor, vm=vm)
        return done(self.request, _("The machine is being deleted."), to=reverse("portal:vms"), leave=True)


class Screen(SignedIn):
    """The last picture of the machine's screen, a small WebP; 404 while there is none."""

    def get(self, request: HttpRequest, pk: Any) -> HttpResponse:
        vm = find(self.actor, VirtualMachine, pk, "vm.use")
        # A picture of a screen is a look at it.
        picture = None if hidden_from(self.actor, vm) else screens.latest(vm.pk)
        if picture is None:
            return HttpResponse(status=404)
        response = HttpResponse(picture[0], content_type="image/webp")
        response["Cache-Control"] = "private, max-age=3600"
        response["X-Content-Type-Options"] = "nosniff"
        return response
