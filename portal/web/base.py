"""What all pages share: who acts, which layout answers, and how an action's outcome is told."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.mixins import AccessMixin
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views import View

from broker.access.actor import Actor
from broker.core.errors import BerthError, Invalid
from portal.refusals import note_refusal
from portal.why import why_of

from .parts import error_sentences
from .words import Text

if TYPE_CHECKING:
    from .forms import StyledForm

MOST_LINES = 6  # of an explanation in a message; it travels in a header, and proxies bound those


class SignedIn(AccessMixin, View):
    """A view for people who are signed in; others are sent to the sign-in page, scripts are told 401.

    `stays`: its page is not swept away when the sign-in has ended, because it says itself what that means.
    """

    stays = False

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            if wants_json(request):
                return HttpResponse(status=401)
            if is_htmx(request):
                if self.stays:
                    return HttpResponse(status=401)
                return HttpResponse(status=401, headers={"HX-Redirect": resolve_url(self.get_login_url())})
            return self.handle_no_permission()
        return super().dispatch(request, *args, **kwargs)

    @property
    def actor(self) -> Actor:
        actor: Actor = self.request.actor  # type: ignore[attr-defined]
        return actor


class Page(SignedIn):
    """A page: a template over what `content()` returns. The same address gives htmx the live part alone."""

    template = ""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = render(request, self.template, self.content(*args, **kwargs))
        # One address, two answers: a cache or the back button must not show the part as the page.
        response["Vary"] = "HX-Request, Cookie"
        response["Cache-Control"] = "no-store"
        return response

    def content(self, *args: Any, **kwargs: Any) -> Mapping[str, Any]:
        """The template's context."""
        raise NotImplementedError


class Deed(SignedIn):
    """A POST that does one thing through an action and says how it went."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return self.do(*args, **kwargs)
        except BerthError as error:
            return refused(request, error)

    def do(self, *args: Any, **kwargs: Any) -> HttpResponse:
        """Call the action and answer, usually with `done`."""
        raise NotImplementedError


def is_htmx(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"


def wants_json(request: HttpRequest) -> bool:
    return request.headers.get("Accept", "").startswith("application/json")


def done(request: HttpRequest, text: Text, *, to: str = "", leave: bool = False) -> HttpResponse:
    """An action went well. htmx gets a message and refreshes; a plain form goes to `to` or back where it was.

    `leave`: the page it was asked from is no longer there, so htmx goes to `to` as well.
    """
    if is_htmx(request):
        if leave:
            messages.success(request, str(text))
            return HttpResponse(status=204, headers={"HX-Redirect": to})
        return HttpResponse(status=204, headers=_trigger("good", str(text)))
    messages.success(request, str(text))
    return HttpResponseRedirect(to or came_from(request))


def refused(request: HttpRequest, error: BerthError) -> HttpResponse:
    """An action was refused: its cause and fix, with the status of the error."""
    cause, fix = error_sentences(error)
    actor: Actor = request.actor  # type: ignore[attr-defined]
    note(request, error)
    why = why_of(actor, error)
    if is_htmx(request):
        return HttpResponse(status=error.status, headers=_trigger("bad", cause, fix, why.lines(MOST_LINES)))
    context = {"message": cause, "fix": fix, "status": error.status, "why": why}
    return render(request, "errors/refused.html", context, status=error.status)


def refuse(request: HttpRequest, form: "StyledForm", error: BerthError) -> None:
    """Show in the form what the action refused, and write it down unless it is a mistake in the form."""
    form.refuse(error)
    if not isinstance(error, Invalid):
        note(request, error)


def note(request: HttpRequest, error: BerthError, *, once_in: timedelta | None = None) -> None:
    """Write down that an action refused what a page asked for."""
    note_refusal(
        request, request.actor, kind="portal.refused", status=error.status, code=error.code,  # type: ignore[attr-defined]
        cause=error.message, explanation=error.as_dict(), once_in=once_in,
    )  # fmt: skip


def _trigger(level: str, text: str, fix: str = "", why: Sequence[str] = ()) -> dict[str, str]:
    told = {"berth:toast": {"level": level, "text": text, "fix": fix, "why": list(why)}, "berth:refresh": {}}
    return {"HX-Trigger": json.dumps(told)}


def came_from(request: HttpRequest) -> str:
    """The page the request came from, when it is one of ours; else the start page."""
    address = request.headers.get("Referer", "")
    ours = url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure())
    return address if address and ours else reverse("portal:home")
