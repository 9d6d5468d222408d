"""What a configuration yields, before it is saved: asks the directory, writes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from broker.core.errors import Unavailable
from broker.directories.found import GroupFound
from broker.directories.models import Directory
from broker.directories.secret import opened

from .config import LdapConfig, of_row
from .entries import external_id, first, person, user_attributes
from .finding import Ambiguous, RowBackend
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
    """What the named user would be. Not found: `found` is False and the rest is empty."""

    username: str
    found: bool
    problem: str = ""
    external_id: str = ""
    display_name: str = ""
    email: str = ""
    disabled: bool = False
    groups: tuple[GroupFound, ...] = ()


@dataclass(frozen=True)
class Preview:
    """`error` says why nothing (more) could be read; what was read before it is still there.

    Counts stop at COUNTED. `warnings` are sentences about what works but should not stay so.
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


def preview(config: LdapConfig, password: str = "", *, username: str | None = None) -> Preview:
    """Ask the directory as `config` says, bound with `password`; `username` as somebody would type it.

    Never raises for a directory that is down or wrong: that is what the answer tells.
    """
    seen: dict[str, Any] = {"warnings": _warnings(config)}
    try:
        line = dial(config, password, seconds=SECONDS, patient=True)
        seen |= {"bound": True, "server": line.server}
        found = list(islice(pages(line, config.user_base, config.user_filter, user_attributes(config)), COUNTED))
        seen |= {"user_count": len(found), "users": tuple(_user(config, entry) for _, entry in found[:SAMPLES])}
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
        config, password = of_row(directory), opened(directory)
    except Unavailable as error:
        return Preview(error=error)
    return preview(config, password, username=username)


def _named(config: LdapConfig, password: str, username: str) -> Named:
    searcher = RowBackend(config, password, seconds=SECONDS, patient=True).find(username.strip())
    try:
        if searcher.dn is None:
            return Named(username, found=False)
        if searcher.person is None:
            return Named(username, found=True, problem="unusable")
        who = searcher.person
        return Named(
            username=who.username,
            found=True,
            external_id=who.id,
            display_name=who.display_name,
            email=who.email,
            disabled=not who.may_sign_in,
            groups=tuple(searcher.groups()),
        )
    except Ambiguous:
        return Named(username, found=True, problem="ambiguous")
    finally:
        searcher.close()


def _user(config: LdapConfig, entry: Mapping[str, Any]) -> Candidate:
    who = person(config, entry)
    if who is None:
        return Candidate("", first(entry, config.username_attribute), problem="unusable")
    return Candidate(who.id, who.username, who.display_name, not who.may_sign_in)


def _group(config: LdapConfig, entry: Mapping[str, Any]) -> Candidate:
    id, name = external_id(config, entry), first(entry, config.group_name_attribute)
    return Candidate(id, name, problem="" if id and name else "unusable")


def _warnings(config: LdapConfig) -> tuple[str, ...]:
    """Names of warnings: "plain" passwords cross the network in clear, "anonymous" nobody vouches for the answers."""
    plain = not config.start_tls and any(server.startswith("ldap://") for server in config.servers)
    return tuple(name for name, true in (("plain", plain), ("anonymous", not config.bind_dn)) if true)
