"""How a caller of the API says who they are: a token, or the session of the pages."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from knox.auth import TokenAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from broker.access.actor import Actor
from broker.directories.throttle import guessed_token
from portal.second_factor import refuse_without


class BearerToken(TokenAuthentication):
    """“Authorization: Bearer …” with one of our API tokens."""

    def authenticate_credentials(self, token: bytes) -> Any:
        if not token.isascii():
            raise AuthenticationFailed(_("Invalid token."))
        return super().authenticate_credentials(token)

    def authenticate(self, request: Request) -> Any:
        """Raises TooManyTries where bad tokens come one after the other; good ones are never held up."""
        try:
            return super().authenticate(request)
        except AuthenticationFailed:
            guessed_token(request._request.META.get("REMOTE_ADDR"))
            raise


class BearerTokenScheme(OpenApiAuthenticationExtension):
    target_class = "portal.api.auth.BearerToken"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return build_bearer_security_scheme_object(header_name="Authorization", token_prefix="Bearer")  # noqa: S106


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
    )
    refuse_without(actor)
    return actor
