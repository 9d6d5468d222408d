"""In and out: the sign-in page, signing out, and what is shown when the server itself fails."""

import logging
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template import loader
from django.urls import reverse
from django.utils.translation import gettext

from broker.access.actor import Actor
from broker.core.errors import BerthError
from broker.directories.devices import device_of, keep_device
from portal.middleware import retry_after
from portal.web import sign_ins  # noqa: F401 - its receivers write down who came and went
from portal.web.other_ways import other_ways
from portal.web.parts import error_sentences
from portal.web.pending import needs_second_factor, wait
from portal.web.signing_out import LEFT, signing_out_there
from portal.web.straight import straight_way

log = logging.getLogger(__name__)


class SignIn(LoginView):
    """Whoever has exactly one desktop goes straight to its screen; others go to the page they wanted."""

    template_name = "portal/sign_in.html"
    redirect_authenticated_user = True
    next_page = "/"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        # Without a form, which the page only asks for what was typed before.
        ways = other_ways(silently=LEFT not in request.GET)
        return self.render_to_response({"next": self.get_redirect_url(), **ways})

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), **other_ways()}

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        user: Any = form.get_user()
        wanted, device = self.get_redirect_url(), self.request.device  # type: ignore[attr-defined]
        person = Actor.for_user(user)
        if needs_second_factor(user, person):
            wait(self.request, user, device=device, wanted=wanted)
            return HttpResponseRedirect(
                reverse("portal:sign-in-code" if user.second_factor_at else "portal:sign-in-set-up")
            )
        login(self.request, user)
        # With the grants that were read a moment ago.
        self.request.actor = replace(Actor.of(self.request), _cache=person._cache)  # type: ignore[attr-defined]
        response = HttpResponseRedirect(landing(self.request, wanted))
        keep_device(response, device)
        return response

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=400)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        request.device = device_of(request)  # type: ignore[attr-defined]
        try:
            return super().post(request, *args, **kwargs)
        except BerthError as error:
            # A fresh form: asking this one for its errors would ask the directory again.
            fresh = self.get_form_class()(request, initial={"username": request.POST.get("username", "")})
            context = self.get_context_data(form=fresh, down=told_at_the_door(error))
            return self.render_to_response(context, status=error.status, headers=retry_after(error))


def landing(request: HttpRequest, wanted: str) -> str:
    """Where somebody goes who has just signed in; `wanted` is an address of ours, or ""."""
    if wanted and wanted != settings.LOGIN_REDIRECT_URL:
        return wanted
    return straight_way(request, request.actor)  # type: ignore[attr-defined]


def told_at_the_door(error: BerthError) -> tuple[str, str]:
    """What is said at the door. Names of servers and how they fail are for the log, not for who is not signed in."""
    if error.rule != "directory.answers":
        return error_sentences(error)
    log.warning("Somebody could not sign in: %s", error)
    return (
        gettext("A directory does not answer at the moment, so nobody can check this password."),
        gettext("Try again in a moment; if it stays so, tell an administrator."),
    )


class SignOut(LogoutView):
    """POST only, as Django has it; open consoles end with the sign-in. Nobody is signed in again by their ticket.

    A page leads on to the provider where one signs out there, too: a form of ours may lead to no address of others.
    """

    def get_default_redirect_url(self) -> str:
        silently = other_ways(silently=True)["silently"]
        return reverse(settings.LOGIN_URL) + (f"?{LEFT}=1" if silently else "")

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        there = signing_out_there(request)
        response: HttpResponse = super().post(request, *args, **kwargs)
        if there is None:
            return response
        page = render(request, "portal/signed_out.html", {"there": there})
        page["Refresh"] = f"0; url={there.address}"
        return page


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500: with the request's reference, but without context processors, which may be what failed."""
    return HttpResponse(loader.get_template("500.html").render({"request": request}), status=500)
