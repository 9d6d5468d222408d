"""Signing in with a Kerberos ticket that the browser holds: SPNEGO in HTTP (RFC 4559).

Only this address asks for tickets, and only who presses the button comes here, or the sign-in page by itself where the
directory says so (kerberos.js): browsers without a ticket are never disturbed elsewhere.
"""

import base64
import binascii
import logging
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views import View

from broker.access.actor import Actor
from broker.core.errors import BerthError, Denied, Invalid, Missing
from broker.core.text import gettext_noop as N_
from broker.directories.backend import LONGEST_SECONDS
from broker.directories.devices import device_of, keep_device
from broker.directories.kinds import KINDS
from broker.directories.models import Directory
from broker.directories.throttle import TooManyTries, guessed_token
from broker.events.record import record
from portal.middleware import retry_after
from portal.web.base import wants_json
from portal.web.other_ways import other_ways
from portal.web.parts import error_sentences
from portal.web.pending import needs_second_factor, wait
from portal.web.views.doors import landing

log = logging.getLogger(__name__)
SCHEME = "Negotiate"
LONGEST = 64 << 10
"""Letters of a token: the largest ticket Windows makes, in base64."""


class KerberosDoor(View):
    """A page's POST is led on or told why not on the sign-in page; a script gets JSON of the same."""

    def get(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Nobody is signed in by following a link: it leads to the page with the button."""
        return HttpResponseRedirect(reverse("portal:sign-in"))

    def post(self, request: HttpRequest, pk: Any) -> HttpResponse:
        wanted = request.POST.get("next", "")
        self.wanted = wanted if url_has_allowed_host_and_scheme(wanted, None) else ""
        try:
            response = self._entered(_offered(pk))
        except BerthError as error:
            response = self._refused(error_of(error), error.status)
            for name, value in retry_after(error).items():
                response[name] = value
        response["Cache-Control"] = "no-store"
        return response

    def _entered(self, directory: Directory) -> HttpResponse:
        if self.request.user.is_authenticated:
            return self._led(self.wanted or reverse("portal:home"))
        if settings.SESSION_COOKIE_SECURE and not self.request.is_secure():
            raise Denied(
                N_("Tickets are only taken over an encrypted connection."),
                rule="kerberos.secure",
                fix=N_("Open the address that begins with https://."),
            )
        scheme, _space, shown = self.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != SCHEME.lower():
            response = self._refused(
                (
                    _("Your browser showed no Kerberos ticket."),
                    _("Sign in with your password. An administrator can tell how this browser is allowed to show one."),
                ),
                401,
            )
            response["WWW-Authenticate"] = SCHEME
            return response
        kind: Any = KINDS.get("ldap")
        try:
            ticket = kind.accept(directory, _token(shown))
            user = kind.by_ticket(directory, ticket, seconds=LONGEST_SECONDS)
        except BerthError as error:
            if error.status < 500:
                self._tell(directory, error)
            raise
        user.directory = directory
        response = self._led(self._signed_in(user))
        if ticket.answer:
            response["WWW-Authenticate"] = f"{SCHEME} {base64.b64encode(ticket.answer).decode()}"
        if self.request.user.is_authenticated:
            keep_device(response, self.device)
        return response

    def _signed_in(self, user: Any) -> str:
        """Where to go now: on, or to the second factor where one is asked for."""
        self.device, person = device_of(self.request), Actor.for_user(user)
        if needs_second_factor(user, person):
            wait(self.request, user, device=self.device, wanted=self.wanted)
            return reverse("portal:sign-in-code" if user.second_factor_at else "portal:sign-in-set-up")
        login(self.request, user)
        self.request.actor = replace(Actor.of(self.request), _cache=person._cache)  # type: ignore[attr-defined]
        return landing(self.request, self.wanted)

    def _led(self, address: str) -> HttpResponse:
        return JsonResponse({"next": address}) if wants_json(self.request) else HttpResponseRedirect(address)

    def _refused(self, sentences: tuple[str, str], status: int) -> HttpResponse:
        if wants_json(self.request):
            return JsonResponse({"cause": sentences[0], "fix": sentences[1]}, status=status)
        context = {"down": sentences, "next": self.wanted, **other_ways()}
        return render(self.request, "portal/sign_in.html", context, status=status)

    def _tell(self, directory: Directory, error: BerthError) -> None:
        """Write it down; whoever comes with nonsense again and again is slowed down instead."""
        address = self.request.META.get("REMOTE_ADDR") or None
        guessed_token(address)
        record(
            "user.sign-in-refused", actor=Actor(user=None, name="anonymous", address=address), subject=directory,
            severity="warning", message=N_("A sign-in at %(directory)s was refused: %(cause)s"), directory=directory,
            cause=error.message,
        )  # fmt: skip


def error_of(error: BerthError) -> tuple[str, str]:
    """What is said at the door. Names of servers and how they fail are for the log."""
    if isinstance(error, TooManyTries) or error.rule != "directory.answers":
        return error_sentences(error)
    log.warning("Somebody could not sign in with a ticket: %s", error)
    return (
        _("A directory does not answer at the moment, so nobody can look up whose ticket this is."),
        _("Try again in a moment; if it stays so, tell an administrator."),
    )


def _token(shown: str) -> bytes:
    try:
        if len(shown) <= LONGEST:
            return base64.b64decode(shown.strip(), validate=True)
    except (binascii.Error, ValueError):
        pass
    raise Invalid(
        N_("This is no Kerberos ticket."), rule="kerberos.token",
        fix=N_("Sign in with your password, and tell an administrator."),
    )  # fmt: skip


def _offered(pk: Any) -> Directory:
    row = Directory.objects.filter(pk=pk, kind="ldap", enabled=True, config__kerberos=True).first()
    if row is None:
        raise Missing(N_("There is no such way to sign in."), fix=N_("Choose one that is on this page."))
    return row
