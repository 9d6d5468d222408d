"""Who somebody is by what the provider tells: their id, names and groups."""

import hashlib
import unicodedata
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from broker.core.errors import Invalid
from broker.directories.kinds.ldap.entries import Person
from broker.directories.kinds.ldap.finding import GroupFound
from broker.directories.rules import checked_username

from .config import OidcConfig
from .token import Untrue

LONGEST_SUB = 200
LONGEST_GROUP = 200
MOST_GROUPS = 1000
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})


def external_id(config: OidcConfig, sub: str) -> str:
    """`sub` is somebody's within the issuer alone: with another issuer the same is another person."""
    return f"{hashlib.sha256(config.issuer.encode()).hexdigest()[:24]}:{sub}"


def person_of(config: OidcConfig, claims: Mapping[str, Any]) -> Person:
    """The person. Raises Untrue when the claims lack what everybody has to have, or it cannot be used."""
    sub, name = claims["sub"], at(claims, config.username_claim)
    if len(sub) > LONGEST_SUB or not sub.isascii() or not sub.isprintable():
        raise Untrue("its subject cannot be used")
    if not isinstance(name, str):
        raise Untrue(f"it has no user name ({config.username_claim})")
    try:
        username = checked_username(name)
    except Invalid:
        raise Untrue("its user name cannot be used") from None
    return Person(external_id(config, sub), username, _text(at(claims, config.name_claim)), _mail(config, claims), True)


def groups_of(config: OidcConfig, claims: Mapping[str, Any]) -> list[GroupFound]:
    """The groups, each once. Raises Untrue for a claim that is no list of names: it must not count as "none"."""
    told = at(claims, config.groups_claim)
    if told is None:
        return []
    if not isinstance(told, list) or len(told) > MOST_GROUPS or not all(isinstance(one, str) for one in told):
        raise Untrue(f"its groups ({config.groups_claim}) are no list of names")
    # One that looks like another is left out: what it gives could not be told apart by eye.
    names = dict.fromkeys(one for one in told if one and len(one) <= LONGEST_GROUP and _text(one) == one)
    return [GroupFound(name, name) for name in names]


def at(claims: Mapping[str, Any], path: str) -> Any:
    """What is at a path like realm_access.roles; a claim whose name itself has dots comes first. None: nothing."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _text(value: Any) -> str:
    """As it can be shown: trimmed, without what nobody can see."""
    if not isinstance(value, str):
        return ""
    seen = (sign for sign in unicodedata.normalize("NFC", value) if unicodedata.category(sign) not in _UNSEEN)
    return "".join(seen).strip()[:255]


def _mail(config: OidcConfig, claims: Mapping[str, Any]) -> str:
    value = _text(at(claims, config.mail_claim))
    try:
        validate_email(value)
    except ValidationError:
        return ""
    return value if len(value) <= 254 else ""
