"""Who somebody is by the claims the provider tells: their id, names and groups."""

from collections.abc import Mapping
from typing import Any

from broker.directories import elsewhere
from broker.directories.elsewhere import Untrue
from broker.directories.found import GroupFound, Person

from .config import OidcConfig


def person_of(config: OidcConfig, claims: Mapping[str, Any]) -> Person:
    """The person. Raises Untrue when the claims lack what everybody has to have, or it cannot be used."""
    names = (at(claims, claim) for claim in (config.username_claim, config.name_claim, config.mail_claim))
    return elsewhere.person_of(config.issuer, claims["sub"], *names)


def groups_of(config: OidcConfig, claims: Mapping[str, Any]) -> list[GroupFound]:
    """The groups, each once. Raises Untrue for a claim that is no list of names: it must not count as "none"."""
    try:
        return elsewhere.groups_of(at(claims, config.groups_claim))
    except Untrue as error:
        raise Untrue(f"{error} ({config.groups_claim})") from None


def at(claims: Mapping[str, Any], path: str) -> Any:
    """What is at a path like realm_access.roles; a claim whose name itself has dots comes first. None: nothing."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
