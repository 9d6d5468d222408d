"""What the console page's script asks for and does besides the picture: JSON in, JSON out."""

from typing import Any

from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views import View

from broker.access.actor import Actor
from broker.access.require import find
from broker.connections.actions import (
    answer_help,
    create_share,
    end_help,
    end_share,
    issue_ticket,
    open_share,
    read_message,
)
from broker.connections.actions.enter_as_guest import enter_as_guest
from broker.connections.finding import found, helps, messages, shares
from broker.connections.models import ConsolePolicy, Share
from broker.core.errors import Missing
from broker.core.text import gettext_noop as N_
from broker.virt.models import VirtualMachine
from pools.actions.extend_session import extend_session
from pools.queries import find_desktop
from portal.web.base import SignedIn, is_htmx
from portal.web.console_page import shared_page
from portal.web.console_state import console_state, helper_state

from .console import read_body, ticket_answer


def plain(data: dict[str, Any], status: int = 200) -> JsonResponse:
    return JsonResponse(data, status=status, headers={"Cache-Control": "no-store"})


class State(SignedIn):
    """GET → what portal.web.console_state says; ?help= for who looks on or helps."""

    def get(self, request: HttpRequest, pk: Any) -> HttpResponse:
        if request.GET.get("help"):
            return plain(helper_state(self.actor, found(helps(self.actor).filter(vm=pk), request.GET["help"])))
        return plain(console_state(self.actor, find(self.actor, VirtualMachine, pk, "vm.use")))


class Extend(SignedIn):
    """POST: put off the end of the session."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, pk: Any) -> HttpResponse:
        extend_session(actor=self.actor, desktop=find_desktop(self.actor, pk))
        return plain(console_state(self.actor, find(self.actor, VirtualMachine, pk, "vm.use")))


class Answer(SignedIn):
    """POST: allow, refuse or end that somebody sees the screen."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, pk: Any, answer: str) -> HttpResponse:
        help = found(helps(self.actor), pk)
        if answer == "end":
            end_help(actor=self.actor, help=help)
        elif answer in ("allow", "refuse"):
            answer_help(actor=self.actor, help=help, allow=answer == "allow")
        else:
            raise Missing(N_("There is no such answer."), fix=N_("Load the page anew."))
        return plain({"state": help.state})


class Shares(SignedIn):
    """POST {level, minutes} → {link}: the secret is behind its #, and shown this once."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, pk: Any) -> HttpResponse:
        wanted = read_body(request)
        made = create_share(
            actor=self.actor,
            vm=find(self.actor, VirtualMachine, pk, "vm.use"),
            level=wanted.get("level", Share.Level.VIEW),
            minutes=wanted.get("minutes", 60),
            everybody=wanted.get("everybody") is True,
        )
        link = request.build_absolute_uri(reverse("portal:shared")) + f"#{made.secret}"
        return plain({"link": link, "until": made.share.expires_at.isoformat()}, status=201)


class EndShare(SignedIn):
    http_method_names = ["post"]

    def post(self, request: HttpRequest, pk: Any) -> HttpResponse:
        end_share(actor=self.actor, share=found(shares(self.actor), pk))
        return plain({})


class ReadMessage(SignedIn):
    http_method_names = ["post"]

    def post(self, request: HttpRequest, pk: Any) -> HttpResponse:
        read_message(actor=self.actor, message=found(messages(self.actor), pk))
        return plain({})


class Shared(View):
    """Where a shared link leads: its script sends what stands behind the # by POST, once somebody is signed in.

    Open to all, for the secret must be kept over the sign-in page: it is in no address the server sees.
    """

    def get(self, request: HttpRequest) -> HttpResponse:
        signed_in = request.user.is_authenticated
        door = f"{reverse('portal:sign-in')}?next={reverse('portal:shared')}"
        data = {
            "open": reverse("portal:shared-open"),
            "door": "" if signed_in else door,
            "enter": "" if signed_in else reverse("portal:shared-enter"),
            "none": _("No link was given."),
        }
        guests = not signed_in and ConsolePolicy.objects.filter(guests=True).exists()
        context = {"data": data, "signed_in": signed_in, "door": door, "guests": guests}
        response = render(request, "portal/shared.html", context)
        response["Cache-Control"] = "no-store"
        return response


class OpenShared(SignedIn):
    """POST {secret} → {url} of the screen."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        share = open_share(actor=self.actor, secret=str(read_body(request).get("secret", "")))
        if share.owner_id == self.actor.user_id:
            return plain({"url": reverse("portal:console", args=[share.vm_id])})
        return plain({"url": reverse("portal:shared-console", args=[share.pk])})


class EnterShared(View):
    """POST {secret, name} → {url}: somebody without an account, signed in for this screen alone."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        given = read_body(request)
        guest = enter_as_guest(
            actor=Actor.of(request), secret=str(given.get("secret", "")), name=str(given.get("name", ""))
        )
        login(request, guest.user)
        if guest.share is not None:
            request.session.set_expiry(guest.share.expires_at)
        return plain({"url": reverse("portal:shared-console", args=[guest.share_id])})


class SharedConsole(SignedIn):
    """The screen, for who came by a link."""

    def get(self, request: HttpRequest, pk: Any) -> HttpResponse:
        share = found(Share.objects.good().select_related("vm", "owner").filter(guests=self.actor.user_id), pk)
        template = "portal/partials/console_live.html" if is_htmx(request) else "portal/console.html"
        response = render(request, template, {"page": shared_page(request, share)})
        response["Cache-Control"] = "no-store"
        return response


class SharedTicket(SignedIn):
    """As the console's own ticket, by the right of the link."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, pk: Any) -> HttpResponse:
        def issue() -> Any:
            wanted = read_body(request)
            share = found(Share.objects.select_related("vm", "owner").filter(guests=self.actor.user_id), pk)
            return issue_ticket(actor=self.actor, vm=share.vm, view_only=bool(wanted.get("view_only")), share=share)

        return ticket_answer(request, issue)
