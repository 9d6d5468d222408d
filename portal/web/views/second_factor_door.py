"""The second step of signing in: a code of the app, or setting one up where that is demanded."""

from typing import Any

from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views import View

from broker.access.actor import Actor
from broker.core.errors import BerthError
from broker.core.text import gettext_noop as N_
from broker.directories.actions.set_up_second_factor import set_up_second_factor
from broker.directories.devices import keep_device
from broker.directories.second_factor import spend
from broker.events.record import record
from portal.middleware import retry_after
from portal.web.parts import error_sentences
from portal.web.pending import Pending, forget, secret_to_be, waiting
from portal.web.second_factor_words import offer


class _Step(View):
    """For whom a password was taken a moment ago; all others begin at the sign-in page."""

    template = ""
    pending: Pending

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        pending = None if request.user.is_authenticated else waiting(request)
        if pending is None or (pending.user.second_factor_at is None) is not self.sets_up:
            return HttpResponseRedirect(reverse("portal:sign-in"))
        self.pending = pending
        return super().dispatch(request, *args, **kwargs)

    sets_up = False

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.show()

    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            return self.take(request.POST.get("code", ""))
        except BerthError as error:
            if error.status == 400:
                self._tell()
            return self.show(error)

    def take(self, code: str) -> HttpResponse:
        raise NotImplementedError

    def show(self, error: BerthError | None = None) -> HttpResponse:
        context = {"refused": error_sentences(error) if error else (), **self.more()}
        response = render(self.request, self.template, context, status=error.status if error else 200)
        response["Cache-Control"] = "no-store"
        for name, value in retry_after(error).items() if error else ():
            response[name] = value
        return response

    def more(self) -> dict[str, Any]:
        return {}

    def sign_in(self) -> None:
        """As the sign-in page does after the password of somebody who needs no second factor."""
        forget(self.request)
        login(self.request, self.pending.user)
        self.request.actor = Actor.of(self.request)  # type: ignore[attr-defined]

    @property
    def address(self) -> str | None:
        return self.request.META.get("REMOTE_ADDR") or None

    def _tell(self) -> None:
        user = self.pending.user
        record(
            "user.second-factor-refused", actor=Actor.for_user(user, address=self.address), subject=user,
            severity="warning", message=N_("A second factor of %(name)s was refused, after the right password"),
            name=user,
        )  # fmt: skip


class AskCode(_Step):
    template = "portal/sign_in_code.html"

    def take(self, code: str) -> HttpResponse:
        from .doors import landing

        spend(self.pending.user, code, address=self.address, device=self.pending.device)
        self.sign_in()
        response = HttpResponseRedirect(landing(self.request, self.pending.wanted))
        keep_device(response, self.pending.device)
        return response


class SetUpAtTheDoor(_Step):
    template = "portal/sign_in_set_up.html"
    sets_up = True

    def more(self) -> dict[str, Any]:
        return offer(secret_to_be(self.request), self.pending.user)

    def take(self, code: str) -> HttpResponse:
        user = self.pending.user
        codes = set_up_second_factor(
            actor=Actor.for_user(user, address=self.address), user=user, secret=secret_to_be(self.request), code=code
        )
        self.sign_in()
        context = {"codes": codes, "onward": self.pending.wanted or reverse("portal:home")}
        response = render(self.request, "portal/sign_in_codes.html", context)
        response["Cache-Control"] = "no-store"
        keep_device(response, self.pending.device)
        return response
