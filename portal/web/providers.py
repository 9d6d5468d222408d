"""Sign-ins at providers that were begun in this browser: kept in its session, each for some minutes and for once."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.crypto import constant_time_compare

from broker.core import clock
from broker.directories.kinds import ELSEWHERE, KINDS
from broker.directories.models import Directory
from broker.sql import Statement

KEY = "begun_at_providers"
SECONDS = 600
MOST = 5
"""Tabs in which somebody is signing in at once; the oldest gives way."""

_OFFERED = Statement(
    lambda: (
        Directory.objects.filter(kind__in=ELSEWHERE, enabled=True).order_by("order", "name").values_list("pk", "name")
    )
)


def providers() -> list[tuple[Any, str]]:
    """Ids and names of the directories that have a button on the sign-in page."""
    return [(pk, name) for pk, name in _OFFERED.rows()]


def back_address(directory: Directory, origin: str = "") -> str:
    """Where the provider sends browsers back to: exactly this has to be registered there, for each of our origins.

    Each directory has an address of its own, so that one provider's answer cannot be taken for another's.
    """
    ours: str = origin if origin in settings.ORIGINS else settings.ORIGINS[0]
    name = "provider-post" if directory.kind == "saml" else "provider-back"
    return ours + reverse(f"portal:{name}", args=[directory.pk])


def back_addresses(directory: Directory) -> list[str]:
    """All of them, one for each of our origins."""
    return [back_address(directory, origin) for origin in settings.ORIGINS]


def metadata_address(directory: Directory) -> str:
    """Where a provider of SAML reads about Berth."""
    return settings.ORIGINS[0] + reverse("portal:provider-metadata", args=[directory.pk])


def entity_id(directory: Directory) -> str:
    """What Berth is called at that provider of SAML."""
    return directory.config.get("entity_id") or metadata_address(directory)


def begin(directory: Directory, origin: str) -> tuple[str, Any]:
    """The provider's address to lead the browser to, and what to keep. Raises Unavailable."""
    kind: Any = KINDS.get(directory.kind)
    more = [entity_id(directory)] if directory.kind == "saml" else []
    begun: tuple[str, Any] = kind.begin(directory, back_address(directory, origin), *more)
    return begun


def keep(request: HttpRequest, directory: Directory, begun: Mapping[str, str], wanted: str) -> None:
    entry = {"directory": str(directory.pk), "wanted": wanted, "at": clock.now().timestamp(), "begun": dict(begun)}
    request.session[KEY] = [*_kept(request), entry][-MOST:]


def take(request: HttpRequest, directory: Directory, state: str) -> tuple[dict[str, str], str] | None:
    """What was kept for `state`, and the page that was wanted; None when this browser began no such sign-in.

    It is taken out: the same answer does not count twice.
    """
    kept = _kept(request)
    for entry in kept:
        if constant_time_compare(entry["begun"]["state"], state) and entry["directory"] == str(directory.pk):
            request.session[KEY] = [other for other in kept if other is not entry]
            request.session.save()
            return entry["begun"], entry["wanted"]
    return None


def _kept(request: HttpRequest) -> list[dict[str, Any]]:
    now = clock.now().timestamp()
    return [entry for entry in request.session.get(KEY, ()) if 0 <= now - entry["at"] <= SECONDS]
