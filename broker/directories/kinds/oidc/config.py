"""How a provider is spoken to, and which of its claims mean what: the row's `config`, checked."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.directories.https import is_safe
from broker.directories.token_age import USUAL_DAYS
from broker.directories.typed import CA_FIX, LONGEST_CA, check_ca, invalid, typed, usable

if TYPE_CHECKING:
    from broker.directories.models import Directory

LONGEST = 1000
_CLAIM = re.compile(r"[A-Za-z0-9_:/.-]{1,200}")
_SCOPES = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*")  # RFC 6749, appendix A.4


@dataclass(frozen=True)
class OidcConfig:
    """Everything but the client's secret, which is sealed in the row's `secret`; without one it is a public client.

    issuer            exactly as the provider names itself; what is below /.well-known/ is found by it
    private           the provider may have addresses that are not of the public internet
    ca                the own CA as PEM text; empty: the system's
    scopes            what is asked for; "openid" has to be among them
    *_claim           where in what the provider tells these are; parts of a path are separated by dots
    session_hours     how long a sign-in is good at most
    token_days        how long after the last sign-in API tokens count; 0: as long as each was made for
    acr_values        what is asked for as the way of signing in, the dearest first, separated by spaces; empty: nothing
    acr_required      nobody comes in whose token names none of those
    sign_out_there    who signs out here is led to the provider to sign out there as well
    trust_amr         who showed a second factor there needs none of Berth's where one is demanded
    """

    issuer: str = ""
    client_id: str = ""
    private: bool = False
    ca: str = ""
    scopes: str = "openid profile email"
    username_claim: str = "preferred_username"
    name_claim: str = "name"
    mail_claim: str = "email"
    groups_claim: str = "groups"
    session_hours: int = 8
    token_days: int = USUAL_DAYS
    acr_values: str = ""
    acr_required: bool = False
    trust_amr: bool = False
    sign_out_there: bool = False

    @property
    def whom(self) -> tuple[Any, ...]:
        """What decides to whom the client's secret is told."""
        return (self.issuer, self.private, self.ca)


def parse(given: Mapping[str, Any]) -> OidcConfig:
    """The configuration with the defaults filled in. Raises Invalid with the field that cannot be right."""
    known = {field.name: field.default for field in fields(OidcConfig)}
    values = typed(given, known, _FIXES, {"": LONGEST, "ca": LONGEST_CA})
    config = OidcConfig(**{name: value for name, value in values.items() if value != ""})
    _check(config)
    return config


def as_dict(config: OidcConfig) -> dict[str, Any]:
    """For the row's JSON column."""
    return asdict(config)


def of_row(directory: "Directory") -> OidcConfig:
    """The configuration of a row. Raises Unavailable when it cannot be right: nobody can sign in then."""
    return usable(directory, lambda: parse(directory.config))


def _check(config: OidcConfig) -> None:
    parts = config.issuer.partition("?")
    if not is_safe(config.issuer, loopback=config.private) or parts[1] or "#" in config.issuer:
        raise _invalid("issuer", N_("%(value)s is no address of a provider."), config.issuer[:80])
    if not config.client_id or not config.client_id.isprintable():
        raise _invalid("client_id", N_("The provider knows Berth by this id."), "")
    if not _SCOPES.fullmatch(config.scopes) or "openid" not in config.scopes.split():
        raise _invalid("scopes", N_("%(value)s cannot be asked for."), config.scopes[:80])
    for name in ("username_claim", "name_claim", "mail_claim", "groups_claim"):
        value = getattr(config, name)
        if not _CLAIM.fullmatch(value):
            raise _invalid(name, N_("%(value)s is no name of a claim."), value[:80])
    if not 1 <= config.session_hours <= 12:
        raise _invalid("session_hours", N_("This has to be between 1 and 12 hours."), "")
    if not 0 <= config.token_days <= 365:
        raise _invalid("token_days", N_("This has to be between 0 and 365 days."), "")
    if config.acr_values and not _SCOPES.fullmatch(config.acr_values):
        raise _invalid("acr_values", N_("%(value)s cannot be asked for."), config.acr_values[:80])
    if config.acr_required and not config.acr_values:
        raise _invalid("acr_values", N_("Without any of these nobody could sign in."), "")
    check_ca(config.ca, _FIXES)


def _invalid(field: str, message: str, value: str) -> Invalid:
    return invalid(field, message, value, _FIXES)


_FIXES = {
    "issuer": N_("Write it as the provider does, like https://login.example.org/realms/staff."),
    "client_id": N_("Copy it from the provider."),
    "scopes": N_("Write openid, and others behind it, separated by spaces."),
    "acr_values": N_("Write them as the provider calls them, separated by spaces."),
    "ca": CA_FIX,
}
