"""What is known of a provider, and which of its attributes mean what: the row's `config`, checked."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.directories.https import MOST_BYTES, is_safe
from broker.directories.token_age import USUAL_DAYS
from broker.directories.typed import CA_FIX, LONGEST_CA, check_ca, invalid, typed, usable

if TYPE_CHECKING:
    from broker.directories.models import Directory

LONGEST = 1000
_ATTRIBUTE = re.compile(r"[A-Za-z0-9_:/.#-]{1,200}")
_ENTITY = re.compile(r"[\x21-\x7e]{1,1000}")


@dataclass(frozen=True)
class SamlConfig:
    """Everything but the key, which is sealed in the row's `secret`.

    metadata          the provider's metadata as XML; or else
    metadata_url      where it is read from, by HTTPS
    private, ca       of that address: it may be in a network of one's own; its CA as PEM text, empty: the system's
    issuer            the provider's entity id; empty: there is one provider in the metadata
    entity_id         ours, as it is registered there; empty: the address of our metadata
    id_attribute      survives renaming and is never given twice; empty: the NameID, which has to be persistent then
    *_attribute       by Name or FriendlyName, what the provider tells of people
    encrypted         assertions that are not encrypted are refused
    session_hours     how long a sign-in is good at most
    token_days        how long after the last sign-in API tokens count; 0: as long as each was made for
    """

    metadata: str = ""
    metadata_url: str = ""
    private: bool = False
    ca: str = ""
    issuer: str = ""
    entity_id: str = ""
    id_attribute: str = ""
    username_attribute: str = "uid"
    name_attribute: str = "displayName"
    mail_attribute: str = "mail"
    groups_attribute: str = "groups"
    encrypted: bool = False
    session_hours: int = 8
    token_days: int = USUAL_DAYS


def parse(given: Mapping[str, Any]) -> SamlConfig:
    """The configuration with the defaults filled in. Raises Invalid with the field that cannot be right."""
    known = {field.name: field.default for field in fields(SamlConfig)}
    values = typed(given, known, _FIXES, {"": LONGEST, "ca": LONGEST_CA, "metadata": MOST_BYTES})
    config = SamlConfig(**{name: value for name, value in values.items() if value != ""})
    _check(config)
    return config


def as_dict(config: SamlConfig) -> dict[str, Any]:
    """For the row's JSON column."""
    return asdict(config)


def of_row(directory: "Directory") -> SamlConfig:
    """The configuration of a row. Raises Unavailable when it cannot be right: nobody can sign in then."""
    return usable(directory, lambda: parse(directory.config))


def _check(config: SamlConfig) -> None:
    if bool(config.metadata) == bool(config.metadata_url):
        raise _invalid("metadata", N_("The provider's metadata is needed: as text or as an address, not both."))
    if config.metadata_url and not is_safe(config.metadata_url, loopback=config.private):
        raise _invalid("metadata_url", N_("%(value)s is no address of metadata."), config.metadata_url[:80])
    for name in ("issuer", "entity_id"):
        value = getattr(config, name)
        if value and not _ENTITY.fullmatch(value):
            raise _invalid(name, N_("%(value)s is no entity id."), value[:80])
    for name in ("id_attribute", "username_attribute", "name_attribute", "mail_attribute", "groups_attribute"):
        value = getattr(config, name)
        if not _ATTRIBUTE.fullmatch(value) and (value or name != "id_attribute"):
            raise _invalid(name, N_("%(value)s is no name of an attribute."), value[:80])
    if not 1 <= config.session_hours <= 12:
        raise _invalid("session_hours", N_("This has to be between 1 and 12 hours."))
    if not 0 <= config.token_days <= 365:
        raise _invalid("token_days", N_("This has to be between 0 and 365 days."))
    check_ca(config.ca, _FIXES)


def _invalid(field: str, message: str, value: str = "") -> Invalid:
    return invalid(field, message, value, _FIXES)


_FIXES = {
    "metadata": N_("Paste the whole XML document the provider offers, or type its address."),
    "metadata_url": N_("Write it like https://login.example.org/metadata."),
    "issuer": N_("Write the entityID that stands in the metadata."),
    "entity_id": N_("Leave it empty, or write what the provider calls Berth."),
    "ca": CA_FIX,
}
