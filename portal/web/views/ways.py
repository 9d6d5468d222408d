"""All ways to a machine's screen, with what each needs and can do: said before the click."""

from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.require import find
from broker.connections import rdp
from broker.connections.policy import policy_of, told
from broker.connections.vv import offers_file, refused
from broker.virt.models import VirtualMachine
from broker.virt.screen_wishes import present, waiting
from portal.web import needs
from portal.web.base import Deed, Page


class Ways(Page):
    template = "portal/ways.html"

    def content(self, pk: Any) -> dict[str, Any]:  # type: ignore[override]
        vm = find(self.actor, VirtualMachine, pk, "vm.use")
        policy = policy_of(vm)
        refusal = refused(vm, policy) if offers_file(vm) else None
        has = present(vm)
        return {
            "vm": vm,
            "title": vm.title or vm.name,
            "running": vm.power_state in ("running", "paused"),
            "offered": offers_file(vm),
            "refusal": _(refusal.text) if refusal else "",
            "usb": policy.usb and (has is None or bool(has.usb)),
            "smartcard": policy.smartcard and has is not None and has.smartcard,
            "later": bool(waiting(vm)),
            "monitors": int(vm.options.get("heads", 1)),
            "viewer_needs": needs.VIEWER,
            "rdp_address": rdp.offered(vm, policy),
            "rdp_browser": rdp.in_browser(vm, policy),
            "rdp_needs": needs.RDP,
            "rules": told(policy),
            "back_url": reverse("portal:vm", args=[vm.pk]),
        }


class RdpFile(Deed):
    """The .rdp file: a POST, because the page it comes from must be ours."""

    def do(self, pk: Any) -> HttpResponse:
        vm = find(self.actor, VirtualMachine, pk)
        text = rdp.rdp_file(self.actor, vm, full_screen="full_screen" in self.request.POST)
        response = HttpResponse(text, content_type=rdp.MEDIA_TYPE)
        response["Content-Disposition"] = f'attachment; filename="{vm.pk}.rdp"'
        response["Cache-Control"] = "no-store"
        return response
