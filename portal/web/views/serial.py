"""The page of a machine's serial line."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.require import find
from broker.connections.rights import SERIAL_VERB
from broker.gateway.closing import for_page
from broker.virt.models import VirtualMachine
from portal.web.base import SignedIn

# The terminal writes the sizes and colours of its cells into style elements of its own.
TERMINAL = {"style-src": "'unsafe-inline'"}


class Serial(SignedIn):
    def get(self, request: HttpRequest, pk: Any) -> HttpResponse:
        vm = find(self.actor, VirtualMachine, pk, SERIAL_VERB)
        data = {
            "ticketUrl": reverse("portal:console-ticket", args=[vm.pk]),
            "viewOnly": request.GET.get("view") == "only",
            "csrf": get_token(request),
            "closing": {str(row["code"]): {"text": _(str(row["text"])), "again": row["again"]} for row in for_page()},
            "texts": _texts(),
        }
        page = {"title": vm.title or vm.name, "data": data, "back_url": reverse("portal:vm", args=[vm.pk])}
        response = render(request, "portal/serial.html", {"page": page})
        response["Cache-Control"] = "no-store"
        response._csp_update = TERMINAL  # type: ignore[attr-defined]
        return response


def _texts() -> dict[str, str]:
    return {
        "connecting": _("Opening the line …"),
        "reconnecting": _("Connecting again …"),
        "unreachable": _("Berth does not answer."),
        "lost": _("The connection was lost."),
        "closed": _("The line was closed."),
        "mine": _("You type."),
        "other": _("{writer} types; you read."),
        "nobody": _("Nobody types; you read."),
        "only": _("You may only read."),
        "readers": _("{count} people read this line."),
        "ask": _("{writer} types on this line. Take it over? They read on."),
        "busy": _("Somebody has this line open from outside Berth. It opens when they close it."),
        "none": _("This machine has no serial line, or is not running."),
        "away": _("The host does not answer, so its serial line does not either."),
    }
