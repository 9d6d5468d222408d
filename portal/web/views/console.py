"""The screen of a machine: the page, its tickets, and the file for remote-viewer."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import render

from broker.access.require import find
from broker.connections.actions import issue_ticket
from broker.connections.vv import MEDIA_TYPE, viewer_file
from broker.core.errors import BerthError, Invalid
from broker.core.text import gettext_noop as N_
from broker.virt.models import VirtualMachine
from portal.web.base import Deed, SignedIn, is_htmx
from portal.web.console_page import console_page
from portal.web.machines import for_lists
from portal.web.parts import error_sentences

SOCKET = "/console/ws"
LONGEST_BODY = 4096


class Console(SignedIn):
    stays = True

    def get(self, request: HttpRequest, pk: Any) -> HttpResponse:
        vm = find(self.actor, VirtualMachine, pk, "vm.use")
        vm = for_lists(VirtualMachine.objects.filter(pk=vm.pk)).get()
        page = console_page(self.actor, vm, view_only=request.GET.get("view") == "only", csrf=get_token(request))
        template = "portal/partials/console_live.html" if is_htmx(request) else "portal/console.html"
        response = render(request, template, {"page": page})
        response["Cache-Control"] = "no-store"
        return response


class Ticket(SignedIn):
    """POST {kind, view_only} → {ticket, path, kind, view_only}. Errors are JSON too: {message, fix, retry}."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, pk: Any) -> HttpResponse:
        try:
            vm = find(self.actor, VirtualMachine, pk)
            wanted = _body(request)
            issued = issue_ticket(
                actor=self.actor, vm=vm, kind=wanted.get("kind", "vnc"), view_only=bool(wanted.get("view_only"))
            )
        except BerthError as error:
            cause, fix = error_sentences(error)
            answer = {"code": error.code, "message": cause, "fix": fix, "retry": error.retry}
            return JsonResponse(answer, status=error.status)
        return JsonResponse(
            {"ticket": issued.secret, "path": SOCKET, "kind": issued.kind, "view_only": issued.view_only},
            headers={"Cache-Control": "no-store"},
        )


def _body(request: HttpRequest) -> dict[str, Any]:
    unreadable = Invalid(N_("The request is not what the console page sends."), fix=N_("Load the page anew."))
    if len(request.body) > LONGEST_BODY:
        raise unreadable
    try:
        wanted = json.loads(request.body or b"{}")
    except ValueError:
        raise unreadable from None
    if not isinstance(wanted, dict) or not isinstance(wanted.get("kind", "vnc"), str):
        raise unreadable
    return wanted


class ViewerFile(Deed):
    """The .vv file: a POST, because the page it comes from must be ours."""

    def do(self, pk: Any) -> HttpResponse:
        vm = find(self.actor, VirtualMachine, pk)
        response = HttpResponse(viewer_file(self.actor, vm), content_type=MEDIA_TYPE)
        response["Content-Disposition"] = f'attachment; filename="{vm.pk}.vv"'
        response["Cache-Control"] = "no-store"
        return response
