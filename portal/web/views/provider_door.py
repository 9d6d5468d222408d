"""Signing in at a provider (OpenID Connect, SAML): the way there, and the way back."""

from dataclasses import replace
from typing import Any

from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views import View

from broker.access.actor import Actor
from broker.core.errors import BerthError, Missing
from broker.core.text import gettext_noop as N_
from broker.directories.devices import device_of, keep_device
from broker.directories.elsewhere import anew
from broker.directories.kinds import ELSEWHERE, KINDS
from broker.directories.models import Directory
from broker.directories.throttle import guessed_token
from broker.events.record import record
from portal.middleware import retry_after
from portal.web.other_ways import other_ways
from portal.web.pending import needs_second_factor, wait
from portal.web.providers import begin, keep, take
from portal.web.signing_out import keep_word
from portal.web.views.doors import landing, told_at_the_door

LONGEST = 4096
"""Of anything a provider's answer has in its address."""


class Door(View):
    """What is refused is said on the sign-in page, where the other ways are."""

    def get(self, request: HttpRequest, pk: Any) -> HttpResponse:
        return self.answer(request, pk)

    def answer(self, request: HttpRequest, pk: Any) -> HttpResponse:
        wanted = request.GET.get("next", "")
        self.wanted = wanted if url_has_allowed_host_and_scheme(wanted, None) else ""
        try:
            response = self.lead(_offered(pk))
        except BerthError as error:
            context = {"down": told_at_the_door(error), "next": self.wanted, **other_ways()}
            response = render(request, "portal/sign_in.html", context, status=error.status)
            for name, value in retry_after(error).items():
                response[name] = value
        response["Cache-Control"] = "no-store"
        return response

    def lead(self, directory: Directory) -> HttpResponse:
        raise NotImplementedError


class Begin(Door):
    def lead(self, directory: Directory) -> HttpResponse:
        if self.request.user.is_authenticated:
            return HttpResponseRedirect(self.wanted or reverse("portal:home"))
        origin = f"{self.request.scheme}://{self.request.get_host()}"
        address, begun = begin(directory, origin)
        keep(self.request, directory, begun.as_dict(), self.wanted)
        return HttpResponseRedirect(address)


class Back(Door):
    def lead(self, directory: Directory) -> HttpResponse:
        told = {name: str(value) for name, value in self.request.GET.items() if len(value) <= LONGEST}
        taken = take(self.request, directory, told.get("state", ""))
        if taken is None:
            raise anew()
        begun, self.wanted = taken
        kind: Any = KINDS.get(directory.kind)
        try:
            user = kind.finish(directory, begun, told)
        except BerthError as error:
            if error.status < 500:
                tell(self.request, directory, error)
            raise
        device, person = device_of(self.request), Actor.for_user(user)
        if needs_second_factor(user, person):
            wait(self.request, user, device=device, wanted=self.wanted)
            return HttpResponseRedirect(
                reverse("portal:sign-in-code" if user.second_factor_at else "portal:sign-in-set-up")
            )
        login(self.request, user)
        keep_word(self.request, user)
        self.request.actor = replace(Actor.of(self.request), _cache=person._cache)  # type: ignore[attr-defined]
        response = HttpResponseRedirect(landing(self.request, self.wanted))
        keep_device(response, device)
        return response


def tell(request: HttpRequest, directory: Directory, error: BerthError) -> None:
    """Write it down; whoever comes back with nonsense again and again is slowed down instead."""
    address = request.META.get("REMOTE_ADDR") or None
    guessed_token(address)
    record(
        "user.sign-in-refused", actor=Actor(user=None, name="anonymous", address=address), subject=directory,
        severity="warning", message=N_("A sign-in at %(directory)s was refused: %(cause)s"), directory=directory,
        cause=error.message,
    )  # fmt: skip


def _offered(pk: Any) -> Directory:
    directory = Directory.objects.filter(pk=pk, kind__in=ELSEWHERE, enabled=True).first()
    if directory is None:
        raise Missing(N_("There is no such way to sign in."), fix=N_("Choose one that is on this page."))
    return directory
