"""A sign-in without the second factor that is demanded now goes no further: its next page is the door to set one up.

The demand may be younger than the sign-in. Pages are led to the door; what a page fetches by itself is told that nobody
is signed in (any more), and leads to the door by the page. Calls of the API are refused in portal/api/auth.py.
"""

from typing import Any

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from broker.access.actor import Actor
from broker.core.errors import Denied
from broker.core.text import gettext_noop as N_
from broker.directories.demands import lacks
from broker.directories.devices import device_of
from broker.events.record import record
from portal.middleware import Handler
from portal.web.pending import wait

_ELSEWHERE = "/api/"
_NAVIGATIONS = ("document", "iframe", "")
"""Sec-Fetch-Dest of what a person opens; programs and old browsers send none."""


def refuse_without(actor: Actor) -> None:
    """Raise Denied when the actor is somebody who lacks the second factor that is demanded of them."""
    if actor.user is not None and lacks(actor.user, actor):
        raise Denied(
            N_("A second factor is demanded of this account, and there is none."),
            rule="second-factor.missing",
            fix=N_("Sign in to the portal in a browser and set one up; then this works again, with tokens as well."),
        )


class SecondFactorMiddleware:
    """Stands behind ActorMiddleware, whose actor it asks."""

    def __init__(self, get_response: Handler):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        from portal.web.base import came_from, is_htmx, wants_json  # it knows the middleware's words

        if request.path_info.startswith(_ELSEWHERE) or not request.user.is_authenticated:
            return None
        actor: Actor = request.actor  # type: ignore[attr-defined]
        match = request.resolver_match
        if not lacks(request.user, actor) or (match and match.view_name == "portal:sign-out"):
            return None
        if is_htmx(request) and not getattr(getattr(view, "view_class", None), "stays", False):
            # The page is opened anew, and then led to the door itself.
            return HttpResponse(status=401, headers={"HX-Redirect": came_from(request)})
        if is_htmx(request) or wants_json(request) or request.headers.get("Sec-Fetch-Dest", "") not in _NAVIGATIONS:
            return HttpResponse(status=401)
        return _lead(request, request.get_full_path() if request.method in ("GET", "HEAD") else came_from(request))


def _lead(request: HttpRequest, wanted: str) -> HttpResponse:
    """End the sign-in, and have it wait for the second factor as after a password; `wanted` is an address of ours."""
    user: Any = request.user
    record(
        "user.second-factor-missing", actor=request.actor, subject=user,  # type: ignore[attr-defined]
        message=N_("%(name)s was signed in without the second factor that is demanded now"), name=user,
    )  # fmt: skip
    logout(request)
    wait(request, user, device=device_of(request), wanted=wanted)
    return HttpResponseRedirect(reverse("portal:sign-in-set-up"))
