"""The screen of a machine: the page, its tickets, and the file for remote-viewer."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import render

from broker.access.actor import Actor
from broker.access.require import find, named, require
from broker.connections.actions import IssuedTicket, issue_ticket
from broker.connections.consent import OpenElsewhere
from broker.connections.finding import found, helps
from broker.connections.rdp_login import RdpLogin
from broker.connections.viewer_wishes import USUAL, ViewerWishes
from broker.connections.vv import MEDIA_TYPE, viewer_file
from broker.core.errors import BerthError, Invalid, Missing
from broker.core.text import gettext_noop as N_
from broker.sql import Given, Statement
from broker.virt.models import VirtualMachine
from portal.web.base import MOST_LINES, Deed, SignedIn, is_htmx, note
from portal.web.console_page import console_page
from portal.web.machines import for_lists
from portal.web.parts import error_sentences
from portal.why import why_of

SOCKETS = {"vnc": "/console/ws", "spice": "/console/spice", "serial": "/console/ws", "rdp": "/console/ws"}
LONGEST_BODY = 4096
TOLD_ONCE_IN = timedelta(minutes=10)
"""A page that waits for its screen asks again and again, and is refused in the same way each time."""
_SHOWN = Statement(lambda: for_lists(VirtualMachine.objects.filter(pk=Given("pk"))).order_by())


class Console(SignedIn):
    stays = True

    def get(self, request: HttpRequest, pk: Any) -> HttpResponse:
        vm = next(iter(_SHOWN.objects(pk=pk)), None)
        if vm is None:
            raise Missing(N_("There is no such object."), fix=N_("Go back to the list; it may have been removed."))
        require(self.actor, "vm.use", vm)
        help = (
            found(helps(self.actor).filter(vm=vm, helper=self.actor.user_id), asked)
            if (asked := request.GET.get("help"))
            else None
        )
        view_only = request.GET.get("view") == "only"
        wanted = request.GET.get("kind", "")
        page = console_page(self.actor, vm, view_only=view_only, csrf=get_token(request), help=help, wanted=wanted)
        if page.ready and page.own and not is_htmx(request) and page.data["wanted"] in ("", page.data["kinds"][0]):
            page.data["ticket"] = self._brought(vm, page.data["kinds"][0], view_only=view_only)
        template = "portal/partials/console_live.html" if is_htmx(request) else "portal/console.html"
        response = render(request, template, {"page": page, "late": is_htmx(request)})
        response["Cache-Control"] = "no-store"
        return response

    def _brought(self, vm: VirtualMachine, kind: str, *, view_only: bool) -> dict[str, Any] | None:
        """The first ticket comes with the page, which then need not ask. None where it has to, for the cause too.

        Other sites can have a browser open this page; they get no tickets made by it.
        """
        if self.request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return None
        try:
            return _told(issue_ticket(actor=self.actor, vm=vm, kind=kind, view_only=view_only, unasked=True))
        except BerthError:
            return None


class Ticket(SignedIn):
    """POST {kind, view_only, take_over, help, login} → {ticket, path, kind, view_only, recorded}.

    Errors are JSON too: {code, message, fix, retry, rule, why}.
    """

    http_method_names = ["post"]

    def post(self, request: HttpRequest, pk: Any) -> HttpResponse:
        def issue() -> IssuedTicket:
            vm = named(VirtualMachine, pk)  # the right is asked for by the action
            try:
                wanted = read_body(request)
            except Invalid:
                find(self.actor, VirtualMachine, pk)  # strangers are told nothing else
                raise
            help = wanted.get("help")
            return issue_ticket(
                actor=self.actor,
                vm=vm,
                kind=wanted.get("kind", "vnc"),
                view_only=bool(wanted.get("view_only")),
                take_over=bool(wanted.get("take_over")),
                help=found(helps(self.actor).filter(vm=vm), help) if help else None,
                login=RdpLogin.of(wanted["login"]) if "login" in wanted else None,
            )

        return ticket_answer(request, issue)


def ticket_answer(request: HttpRequest, issue: Callable[[], IssuedTicket]) -> HttpResponse:
    """The ticket that `issue` makes, or its refusal, as JSON."""
    try:
        issued = issue()
    except BerthError as error:
        return _refusal(request, error)
    return JsonResponse(_told(issued), headers={"Cache-Control": "no-store"})


def _told(issued: IssuedTicket) -> dict[str, Any]:
    """What the page's script needs of a ticket."""
    return {
        "ticket": issued.secret,
        "path": SOCKETS[issued.kind],
        "kind": issued.kind,
        "view_only": issued.view_only,
        "recorded": issued.recorded,
    }


def _refusal(request: HttpRequest, error: BerthError) -> JsonResponse:
    cause, fix = error_sentences(error)
    actor: Actor = request.actor  # type: ignore[attr-defined]
    why = why_of(actor, error).lines(MOST_LINES)
    answer: dict[str, Any] = {
        "code": error.code, "message": cause, "fix": fix, "retry": error.retry, "rule": error.rule, "why": why,
    }  # fmt: skip
    if isinstance(error, OpenElsewhere):
        answer["since"] = error.params["since"]
    else:
        note(request, error, once_in=TOLD_ONCE_IN)
    return JsonResponse(answer, status=error.status)


def read_body(request: HttpRequest) -> dict[str, Any]:
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
        chosen = self.request.POST
        wishes = USUAL
        if "options" in chosen:
            wishes = ViewerWishes(*(name in chosen for name in ("full_screen", "share_usb", "smartcard")))
        response = HttpResponse(viewer_file(self.actor, vm, wishes), content_type=MEDIA_TYPE)
        response["Content-Disposition"] = f'attachment; filename="{vm.pk}.vv"'
        response["Cache-Control"] = "no-store"
        return response
