"""How a caller of the API says who they are: a token, or the session of the pages."""

from datetime import timedelta
from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from knox.auth import TokenAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from broker.access.actor import Actor
from broker.access.scope import Scope, Token
from broker.core import clock
from broker.core.errors import Denied
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.directories.throttle import guessed_token
from broker.directories.token_age import tokens_end
from portal.models import ApiToken
from portal.second_factor import refuse_without
from portal.token_rules import comes_from

NOTED_EVERY = timedelta(minutes=1)


class BearerToken(TokenAuthentication):
    """“Authorization: Bearer …” with one of our API tokens, from a network it is good for."""

    def authenticate_credentials(self, token: bytes) -> Any:
        if not token.isascii():
            raise AuthenticationFailed(_("Invalid token."))
        return super().authenticate_credentials(token)

    def authenticate(self, request: Request) -> Any:
        """Raises TooManyTries where bad tokens come one after the other; good ones are never held up."""
        address = request._request.META.get("REMOTE_ADDR")
        try:
            found = super().authenticate(request)
        except AuthenticationFailed:
            guessed_token(address)
            raise
        if found is not None:
            user, token = found
            if not comes_from(token.networks, address):
                raise Denied(
                    N_("The token %(token)s may not be used from %(address)s."),
                    rule="access.scope",
                    fix=N_("Use it in the networks it was made for, or make one that may be used here."),
                    token=token.name,
                    address=address or "?",
                )
            _refuse_old(user)
            _note_use(token)
        return found


def _refuse_old(user: User) -> None:
    """Raise Denied for somebody of whom nothing was heard for so long that they may be gone."""
    ends = tokens_end(user)
    if ends is not None and clock.now() > ends:
        raise Denied(
            N_("Tokens of %(directory)s count for so many days after their person last signed in, which are over."),
            rule="access.token-age",
            fix=N_("Sign in to the portal in a browser; then they work again."),
            directory=user.directory,
        )


def _note_use(token: ApiToken) -> None:
    """When it was used last, to the minute: not every call writes."""
    now = clock.now()
    if token.last_used_at is None or now - token.last_used_at > NOTED_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)


class BearerTokenScheme(OpenApiAuthenticationExtension):
    target_class = "portal.api.auth.BearerToken"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return build_bearer_security_scheme_object(header_name="Authorization", token_prefix="Bearer")  # noqa: S106


def token_of(row: ApiToken) -> Token:
    """The token as rights are asked of it."""
    return Token(row.name, Scope.of(row.scope), tuple(row.networks), row.expiry)


def actor_of(request: Request) -> Actor:
    """The actor behind an authenticated API call; its grants are read afresh for this call.

    Raises Denied when a second factor is demanded of the user who has none, by token or session alike.
    """
    django_request = request._request
    user = request.user if request.user.is_authenticated else None
    by_session = request.auth is None
    session = getattr(django_request, "session", None)
    actor = Actor(
        user=user,
        name=user.username if user else "anonymous",
        address=django_request.META.get("REMOTE_ADDR") or None,
        correlation=getattr(django_request, "correlation", ""),
        session_key=(session.session_key or "") if by_session and session is not None else "",
        asked_at=getattr(django_request, "began_at", None),
        token=token_of(request.auth) if isinstance(request.auth, ApiToken) else None,
    )
    refuse_without(actor)
    return actor
