"""Signing out at the provider as well, where the directory has it so."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from broker.directories.kinds import KINDS
from broker.directories.models import User

KEY = "word_of_provider"
LEFT = "left"
"""In the address of the sign-in page: somebody signed out, and is not signed in again without being asked."""
LONGEST = 8000
"""Of a token that is kept and told the provider in an address again; without one it may ask whom to sign out."""


@dataclass(frozen=True, slots=True)
class There:
    """Where it goes on, and the name of the directory."""

    address: str
    name: str


def keep_word(request: HttpRequest, user: User) -> None:
    """Keep the provider's token in the session of somebody who was just signed in by it, where it is needed again."""
    if user.directory.config.get("sign_out_there") and 0 < len(user.signed_in_by) <= LONGEST:
        request.session[KEY] = user.signed_in_by


def signed_out_addresses() -> list[str]:
    """Where the provider may send browsers back to afterwards: to be registered there, one for each of our origins."""
    return [_back_to(origin) for origin in settings.ORIGINS]


def signing_out_there(request: HttpRequest) -> There | None:
    """For somebody who is signed in still: where the browser goes to sign out at the provider; None for nowhere."""
    user: Any = request.user
    if not user.is_authenticated or user.directory.kind != "oidc" or not user.directory.config.get("sign_out_there"):
        return None
    origin = f"{request.scheme}://{request.get_host()}"
    ours = origin if origin in settings.ORIGINS else settings.ORIGINS[0]
    kind: Any = KINDS.get("oidc")
    word = request.session.get(KEY, "")
    address = kind.sign_out_address(user.directory, word, _back_to(ours))
    return There(address, user.directory.name) if address else None


def _back_to(origin: str) -> str:
    address: str = origin + reverse("portal:sign-in")
    return f"{address}?{LEFT}=1"
