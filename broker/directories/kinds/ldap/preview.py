"""What a configuration yields, before it is saved: asks the directory, writes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from broker.core.errors import Denied, Unavailable
from broker.directories.found import GroupFound
from broker.directories.kerberos.keytab import RC4, Key, keys_in
from broker.directories.kerberos.keytab import opened as opened_keytab
from broker.directories.kerberos.ticket import Principal, principal_of
from broker.directories.models import Directory
from broker.directories.secret import opened

from .by_ticket import search
from .config import BY_LOGIN, LdapConfig, of_row
from .entries import external_id, first, person, user_attributes
from .finding import Ambiguous, RowBackend, Searcher
from .line import dial
from .reading import pages

SECONDS = 8.0
"""For everything the preview asks; a server that does not answer is known after half of it."""
SAMPLES = 10
COUNTED = 2000
"""Counting stops here: the form says "2,000 or more"."""


@dataclass(frozen=True)
class Candidate:
    """A user or group the directory has; `problem` says why it could not be used."""

    id: str
    name: str
    display_name: str = ""
    disabled: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Named:
    """What the named user would be. Not found: `found` is False and the rest is empty.

    `principal`: it was asked whom a ticket of this principal lets in.
    """

    username: str
    found: bool
    problem: str = ""
    external_id: str = ""
    display_name: str = ""
    email: str = ""
    disabled: bool = False
    groups: tuple[GroupFound, ...] = ()
    principal: str = ""


@dataclass(frozen=True)
class Ticket:
    """Whose ticket would be let in as whom; a `username` of "" is nobody's."""

    principal: str
    username: str


@dataclass(frozen=True)
class Preview:
    """`error` says why nothing (more) could be read; what was read before it is still there.

    Counts stop at COUNTED. `warnings` are names of what works but should not stay so. `keys`: of the keytab;
    `tickets`: examples.
    """

    bound: bool = False
    server: str = ""
    error: Unavailable | None = None
    users: tuple[Candidate, ...] = ()
    user_count: int = 0
    groups: tuple[Candidate, ...] = ()
    group_count: int = 0
    named: Named | None = None
    warnings: tuple[str, ...] = ()
    keys: tuple[Key, ...] = ()
    tickets: tuple[Ticket, ...] = ()


def preview(config: LdapConfig, password: str = "", *, username: str | None = None, keytab: bytes = b"") -> Preview:
    """Ask the directory as `config` says, bound with `password`; `username` as somebody would type it, or a principal.

    Never raises for a directory that is down or wrong: that is what the answer tells.
    """
    keys = tuple(keys_in(keytab)) if config.kerberos else ()
    seen: dict[str, Any] = {"warnings": _warnings(config, keys), "keys": keys}
    try:
        line = dial(config, password, seconds=SECONDS, patient=True)
        seen |= {"bound": True, "server": line.server}
        wanted = [*user_attributes(config), *_ticket_attributes(config)]
        found = list(islice(pages(line, config.user_base, config.user_filter, wanted), COUNTED))
        seen |= {"user_count": len(found), "users": tuple(_user(config, entry) for _, entry in found[:SAMPLES])}
        seen["tickets"] = tuple(ticket for _, entry in found[:SAMPLES] for ticket in _tickets(config, entry))
        attributes = [config.id_attribute, config.group_name_attribute]
        found = list(islice(pages(line, config.group_base, config.group_filter, attributes), COUNTED))
        seen |= {"group_count": len(found), "groups": tuple(_group(config, entry) for _, entry in found[:SAMPLES])}
        if username:
            seen["named"] = _named(config, password, username)
    except Unavailable as error:
        seen["error"] = error
    return Preview(**seen)


def preview_of(directory: Directory, *, username: str | None = None) -> Preview:
    """The same of a row that is saved."""
    try:
        config, password, keytab = of_row(directory), opened(directory), opened_keytab(directory)
    except Unavailable as error:
        return Preview(error=error)
    return preview(config, password, username=username, keytab=keytab)


def _named(config: LdapConfig, password: str, username: str) -> Named:
    principal = _principal(config, username)
    shown = str(principal or "")
    try:
        searcher = _searcher(config, password, principal or username)
    except Denied:
        return Named(username, found=False, principal=shown)
    try:
        if searcher.dn is None:
            return Named(username, found=False, principal=shown)
        if searcher.person is None:
            return Named(username, found=True, problem="unusable", principal=shown)
        who = searcher.person
        return Named(
            username=who.username,
            found=True,
            external_id=who.id,
            display_name=who.display_name,
            email=who.email,
            disabled=not who.may_sign_in,
            groups=tuple(searcher.groups()),
            principal=shown,
        )
    except Ambiguous:
        return Named(username, found=True, problem="ambiguous", principal=shown)
    finally:
        searcher.close()


def _searcher(config: LdapConfig, password: str, who: Principal | str) -> Searcher:
    if isinstance(who, Principal):
        return search(config, password, who, seconds=SECONDS, patient=True)
    return RowBackend(config, password, seconds=SECONDS, patient=True).find(who.strip())


def _principal(config: LdapConfig, typed: str) -> Principal | None:
    """What was typed, when it is a principal of a realm whose tickets are accepted; else it is a typed name."""
    principal = principal_of(typed.strip()) if config.kerberos else None
    return principal if principal is not None and principal.realm in config.kerberos_realms else None


def _ticket_attributes(config: LdapConfig) -> list[str]:
    """Where the principal of a person is, or what is before its @."""
    if not config.kerberos:
        return []
    return [config.login_attributes[0] if config.kerberos_name == BY_LOGIN else config.kerberos_name]


def _tickets(config: LdapConfig, entry: Mapping[str, Any]) -> list[Ticket]:
    """Principals whose tickets lead to this entry."""
    who, ends = person(config, entry), [f"@{realm}" for realm in config.kerberos_realms]
    texts = [
        first(entry, name) + end
        for name in _ticket_attributes(config)
        for end in (ends if config.kerberos_name == BY_LOGIN else ("",))
        if first(entry, name)
    ]
    username = who.username if who is not None and who.may_sign_in else ""
    return [Ticket(text, username if _principal(config, text) else "") for text in texts]


def _user(config: LdapConfig, entry: Mapping[str, Any]) -> Candidate:
    who = person(config, entry)
    if who is None:
        return Candidate("", first(entry, config.username_attribute), problem="unusable")
    return Candidate(who.id, who.username, who.display_name, not who.may_sign_in)


def _group(config: LdapConfig, entry: Mapping[str, Any]) -> Candidate:
    id, name = external_id(config, entry), first(entry, config.group_name_attribute)
    return Candidate(id, name, problem="" if id and name else "unusable")


def _warnings(config: LdapConfig, keys: tuple[Key, ...]) -> tuple[str, ...]:
    """Names of warnings: "plain" passwords cross the network in clear, "anonymous" nobody vouches for the answers,
    "rc4" a key of the keytab is of a cipher that is broken before long.
    """
    plain = not config.start_tls and any(server.startswith("ldap://") for server in config.servers)
    weak = any(key.cipher in RC4 for key in keys)
    return tuple(name for name, true in (("plain", plain), ("anonymous", not config.bind_dn), ("rc4", weak)) if true)
