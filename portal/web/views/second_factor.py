"""The second factor on the page of one's account: set it up, make new recovery codes, turn it off."""

from typing import Any

from django import forms
from django.contrib.auth import authenticate, update_session_auth_hash
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.core.errors import BerthError, Denied, Invalid
from broker.core.text import gettext_noop as N_
from broker.directories.actions.drop_second_factor import drop_second_factor
from broker.directories.actions.renew_recovery_codes import renew_recovery_codes
from broker.directories.actions.set_up_second_factor import set_up_second_factor
from broker.directories.devices import device_of
from broker.directories.kinds import ELSEWHERE
from broker.directories.rules import require_self
from broker.directories.second_factor import LONGEST
from portal.web.base import SignedIn, done, refuse
from portal.web.forms import StyledForm
from portal.web.pending import forget, secret_to_be
from portal.web.second_factor_words import offer

LONGEST_PASSWORD = 1024


class CodeForm(StyledForm):
    code = forms.CharField(
        label=gettext_lazy("Code"),
        max_length=LONGEST,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )


class AnyCodeForm(CodeForm):
    """A recovery code will do, too."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.fields["code"].help_text = _("Of the app, or a recovery code.")


class SetUpForm(CodeForm):
    """The password as well: whoever found an open browser does not know it."""

    password = forms.CharField(
        label=gettext_lazy("Your password"), max_length=LONGEST_PASSWORD, strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )  # fmt: skip


class _Own(SignedIn):
    """Shown again with what was refused; nothing of it is kept by the browser."""

    template = ""
    form_class: type[StyledForm] = AnyCodeForm

    def get(self, request: HttpRequest) -> HttpResponse:
        user: Any = request.user
        require_self(self.actor, user)
        if (user.second_factor_at is not None) is self.for_new:
            return HttpResponseRedirect(reverse("portal:account"))
        return self.show(self.form_class())

    for_new = False

    def post(self, request: HttpRequest) -> HttpResponse:
        form = self.form_class(request.POST)
        if form.is_valid():
            try:
                request.device = device_of(request)  # type: ignore[attr-defined]
                return self.make(form.cleaned_data)
            except BerthError as error:
                refuse(request, form, error)
        return self.show(form, status=400)

    def make(self, values: dict[str, Any]) -> HttpResponse:
        raise NotImplementedError

    def show(self, form: StyledForm, status: int = 200) -> HttpResponse:
        return self.page(self.template, {"form": form, **self.more()}, status)

    def more(self) -> dict[str, Any]:
        return {}

    def page(self, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
        response = render(self.request, template, context, status=status)
        response["Cache-Control"] = "no-store"
        return response

    def codes(self, codes: list[str]) -> HttpResponse:
        return self.page("portal/recovery_codes.html", {"codes": codes})


class SetUp(_Own):
    template = "portal/second_factor.html"
    form_class = SetUpForm
    for_new = True

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user: Any = request.user
        if user.is_authenticated and user.directory.kind in ELSEWHERE:
            raise Denied(
                N_("You have no password here that could show who sits at this browser."),
                rule="access.user",
                fix=N_("Your provider can ask for a second factor; where Berth demands one, it is set up at sign-in."),
            )
        return super().dispatch(request, *args, **kwargs)

    def more(self) -> dict[str, Any]:
        user: Any = self.request.user
        return offer(secret_to_be(self.request), user)

    def make(self, values: dict[str, Any]) -> HttpResponse:
        user: Any = self.request.user
        if authenticate(self.request, username=user.username, password=values["password"]) != user:
            raise Invalid(
                N_("This is not your password."), field="password", fix=N_("Type the one you signed in with.")
            )
        codes = set_up_second_factor(
            actor=self.actor, user=user, secret=secret_to_be(self.request), code=values["code"]
        )
        forget(self.request)
        update_session_auth_hash(self.request, user)
        return self.codes(codes)


class NewCodes(_Own):
    template = "portal/second_factor_codes.html"

    def make(self, values: dict[str, Any]) -> HttpResponse:
        user: Any = self.request.user
        device = self.request.device  # type: ignore[attr-defined]
        return self.codes(renew_recovery_codes(actor=self.actor, user=user, code=values["code"], device=device))


class TurnOff(_Own):
    template = "portal/second_factor_off.html"

    def make(self, values: dict[str, Any]) -> HttpResponse:
        user: Any = self.request.user
        device = self.request.device  # type: ignore[attr-defined]
        drop_second_factor(actor=self.actor, user=user, code=values["code"], device=device)
        update_session_auth_hash(self.request, user)
        return done(self.request, _("The password alone signs you in now."), to=reverse("portal:account"))
