"""How a provider is spoken to, and which of its claims mean what: the row's `config`, checked."""

import re
import ssl
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from broker.core.errors import Invalid, Unavailable
from broker.core.text import gettext_noop as N_

if TYPE_CHECKING:
    from broker.directories.models import Directory

LONGEST = 1000
LONGEST_CA = 100_000
_CLAIM = re.compile(r"[A-Za-z0-9_:/.-]{1,200}")
_SCOPES = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*")  # RFC 6749, appendix A.4
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class OidcConfig:
    """Everything but the client's secret, which is sealed in the row's `secret`; without one it is a public client.

    issuer            exactly as the provider names itself; what is below /.well-known/ is found by it
    private           the provider may have addresses that are not of the public internet
    ca                the own CA as PEM text; empty: the system's
    scopes            what is asked for; "openid" has to be among them
    *_claim           where in what the provider tells these are; parts of a path are separated by dots
    session_hours     how long a sign-in is good at most
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

    @property
    def whom(self) -> tuple[Any, ...]:
        """What decides to whom the client's secret is told."""
        return (self.issuer, self.private, self.ca)


def parse(given: Mapping[str, Any]) -> OidcConfig:
    """The configuration with the defaults filled in. Raises Invalid with the field that cannot be right."""
    known = {field.name: field for field in fields(OidcConfig)}
    for name in given:
        if name not in known:
            raise _invalid("config", N_("There is no setting called %(value)s."), str(name))
    values = {name: _typed(name, value, type(known[name].default)) for name, value in given.items()}
    config = OidcConfig(**{name: value for name, value in values.items() if value != ""})
    _check(config)
    return config


def as_dict(config: OidcConfig) -> dict[str, Any]:
    """For the row's JSON column."""
    return asdict(config)


def of_row(directory: "Directory") -> OidcConfig:
    """The configuration of a row. Raises Unavailable when it cannot be right: nobody can sign in then."""
    try:
        return parse(directory.config)
    except Invalid as error:
        raise Unavailable(
            N_("The directory %(directory)s is not set up rightly: %(cause)s"),
            fix=N_("An administrator has to correct its settings."),
            rule="directory.answers",
            directory=directory.name,
            cause=error.message,
        ) from None


def is_safe(url: Any, *, loopback: bool = False) -> bool:
    """Whether a provider's address can be used: HTTPS; with `loopback` plain HTTP to this very computer as well."""
    if not isinstance(url, str) or not 0 < len(url) <= LONGEST or not url.isascii():
        return False
    if any(ord(character) <= 32 or character in '\x7f\\"<>' for character in url):
        return False
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 443
    except ValueError:
        return False
    plain = loopback and parts.scheme == "http" and host in LOOPBACK
    return bool(host) and (parts.scheme == "https" or plain) and "@" not in parts.netloc and port > 0


def _typed(name: str, value: Any, wanted: type) -> Any:
    if wanted is bool or wanted is int:
        if type(value) is wanted:
            return value
    elif isinstance(value, str) and "\0" not in value and len(value) <= (LONGEST_CA if name == "ca" else LONGEST):
        return value.strip()
    raise _invalid(name, N_("%(value)s cannot be used here."), str(value)[:80])


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
    if config.ca:
        try:
            ssl.create_default_context(cadata=config.ca)
        except ssl.SSLError:
            raise _invalid("ca", N_("This is no certificate in PEM format."), "") from None


def _invalid(field: str, message: str, value: str) -> Invalid:
    return Invalid(message, field=field, fix=_FIXES.get(field, N_("Correct it.")), value=value)


_FIXES = {
    "issuer": N_("Write it as the provider does, like https://login.example.org/realms/staff."),
    "client_id": N_("Copy it from the provider."),
    "scopes": N_("Write openid, and others behind it, separated by spaces."),
    "ca": N_("Paste the text from BEGIN CERTIFICATE to END CERTIFICATE."),
}
