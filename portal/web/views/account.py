"""One's own account: a new password for those who are kept here, and API tokens."""

from typing import Any

from django import forms
from django.contrib.auth import authenticate, update_session_auth_hash
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.actor import Actor
from broker.connections.models import Guest
from broker.core.errors import BerthError, Invalid
from broker.core.text import gettext_noop as N_
from broker.directories.actions.set_password import set_password
from broker.directories.devices import device_of
from broker.directories.models import RecoveryCode
from broker.directories.second_factor import demanded
from broker.directories.token_age import tokens_end
from portal.models import ApiToken
from portal.tokens import create_token, revoke_token
from portal.web.base import Deed, Page, SignedIn, done, refuse
from portal.web.forms import StyledForm
from portal.web.parts import Action
from portal.web.token_form import TokenForm
from portal.web.token_words import sentences

LONGEST = 1024


def _secret(label: Any, *, new: bool) -> forms.CharField:
    told = "new-password" if new else "current-password"
    return forms.CharField(
        label=label, max_length=LONGEST, strip=False, widget=forms.PasswordInput(attrs={"autocomplete": told})
    )


class OwnPasswordForm(StyledForm):
    """Fields other than the action's are for who sits here: whoever found an open browser does not know the old one."""

    current = _secret(gettext_lazy("Password until now"), new=False)
    password = _secret(gettext_lazy("New password"), new=True)
    again = _secret(gettext_lazy("Once more"), new=True)

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if values.get("password") and values.get("again") and values["password"] != values["again"]:
            self.add_error("again", _("This is not the same as above."))
        return values


class Account(Page):
    template = "portal/account.html"

    def content(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return _content(self.request)


def _content(request: HttpRequest, **more: Any) -> dict[str, Any]:
    user: Any = request.user
    actor: Actor = request.actor  # type: ignore[attr-defined]
    rows = list(ApiToken.objects.filter(user=user))
    may = sentences(actor, rows)
    tokens = [
        {
            "name": token.name,
            "may": may[token.pk],
            "created": token.created,
            "expiry": token.expiry,
            "used": token.last_used_at,
            "revoke": Action(
                _("Revoke"), reverse("portal:token-revoke", args=[token.pk]), "trash", danger=True,
                confirm=_("Programs that use “%(name)s” stop working at once.") % {"name": token.name},
            ),
        }
        for token in rows
    ]  # fmt: skip
    local = user.directory.kind == "local"
    shown = {
        "person": user,
        "directory": user.directory,
        "groups": list(user.directory_groups.order_by("name")),
        "password_form": OwnPasswordForm(auto_id="password_%s") if local else None,
        "token_form": more.get("token_form") or TokenForm(auto_id="token_%s", actor=actor),
        "tokens": tokens,
        "tokens_end": tokens_end(user),
        "second_factor_at": user.second_factor_at,
        "second_factor_demanded": demanded(user, actor),
        "recovery_codes": RecoveryCode.objects.filter(factor=user.pk).count() if user.second_factor_at else 0,
        "guest": Guest.objects.filter(user=user).exists(),
    }
    return shown | more


class _Posted(SignedIn):
    """A form of the page: what is refused is shown in it, with all else as it was."""

    http_method_names = ["post"]

    def show(self, status: int, **more: Any) -> HttpResponse:
        response = render(self.request, Account.template, _content(self.request, **more), status=status)
        response["Cache-Control"] = "no-store"
        return response


class OwnPassword(_Posted):
    """The old one is asked as at the door, and slowed down as there."""

    def post(self, request: HttpRequest) -> HttpResponse:
        form = OwnPasswordForm(request.POST, auto_id="password_%s")
        if form.is_valid():
            try:
                self._set(request, form.cleaned_data)
            except BerthError as error:
                refuse(request, form, error)
            else:
                return done(request, _("You have a new password."), to=reverse("portal:account"))
        return self.show(400, password_form=form)

    def _set(self, request: HttpRequest, values: dict[str, Any]) -> None:
        user: Any = request.user
        request.device = device_of(request)  # type: ignore[attr-defined]
        if authenticate(request, username=user.username, password=values["current"]) != user:
            raise Invalid(N_("This is not your password."), field="current", fix=N_("Type the one you signed in with."))
        update_session_auth_hash(request, set_password(actor=self.actor, user=user, password=values["password"]))


class NewToken(_Posted):
    def post(self, request: HttpRequest) -> HttpResponse:
        form = TokenForm(request.POST, auto_id="token_%s", actor=self.actor)
        if form.is_valid():
            try:
                _row, secret = create_token(actor=self.actor, **form.values())
            except BerthError as error:
                refuse(request, form, error)
            else:
                return self.show(200, secret=secret)
        return self.show(400, token_form=form)

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(reverse("portal:account"))

    http_method_names = ["get", "post"]


class RevokeToken(Deed):
    def do(self, pk: Any) -> HttpResponse:
        token = ApiToken.objects.filter(pk=pk, user=self.actor.user).first()
        if token is None:
            return done(self.request, _("It was revoked before."), to=reverse("portal:account"))
        revoke_token(actor=self.actor, token=token)
        return done(self.request, _("The token works no more."), to=reverse("portal:account"))
