"""What an LDAP directory is asked, and how: the row's `config`, checked and with the defaults of its flavour."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import ldap
import ldap.dn
import ldap.filter

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.directories.typed import CA_FIX, check_ca, invalid, typed, usable

if TYPE_CHECKING:
    from broker.directories.models import Directory

FLAVOURS = ("openldap", "ad", "freeipa")
GROUP_KINDS = ("member", "uniqueMember", "memberUid")
MOST_SERVERS = 8
MOST_REALMS = 16
BY_LOGIN = "login"
_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9;-]{0,63}")
_REALM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_SERVICE = re.compile(rf"HTTP/[A-Za-z0-9][A-Za-z0-9._-]{{0,252}}(@{_REALM.pattern})?")


@dataclass(frozen=True)
class LdapConfig:
    """Everything but the bind password, which is sealed in the row's `secret`.

    servers           ldaps://host[:port] or ldap://host[:port], asked in this order
    start_tls         encrypt ldap:// before anything is said; without it passwords cross the network in clear
    ca                the own CA as PEM text; empty: the system's
    bind_dn           who searches; empty: anonymous
    user_base         where users are, with everything below; user_filter says which entries are users
    login_attributes  what may be typed as the user name; username_attribute is what Berth calls the user
    id_attribute      survives renaming and is never given twice
    enabled_attribute true for who may sign in (missing or anything else: may not); empty: the flavour's own rule
    disabled_attribute true for who may not sign in (missing: may); empty: the flavour's own rule
    group_member      how groups name their members: DNs in `member` or `uniqueMember`, user names in `memberUid`
    nested            groups in groups count
    kerberos          who holds a ticket of one of `kerberos_realms` is let in without a password; `kerberos_silent`:
                      the sign-in page tries it by itself
    kerberos_service  whose key is in the row's `keytab`: HTTP/host, with or without @REALM; empty: any of HTTP/
    kerberos_name     the attribute that holds a person's whole principal, or "login": what is before its @ is looked
                      for as a typed name is
    """

    flavour: str = "openldap"
    servers: tuple[str, ...] = ()
    start_tls: bool = True
    ca: str = ""
    bind_dn: str = ""
    user_base: str = ""
    user_filter: str = ""
    login_attributes: tuple[str, ...] = ()
    username_attribute: str = ""
    id_attribute: str = ""
    name_attribute: str = ""
    mail_attribute: str = ""
    enabled_attribute: str = ""
    disabled_attribute: str = ""
    group_base: str = ""
    group_filter: str = ""
    group_name_attribute: str = ""
    group_member: str = ""
    nested: bool = True
    full_sync_minutes: int = 30
    kerberos: bool = False
    kerberos_realms: tuple[str, ...] = ()
    kerberos_service: str = ""
    kerberos_name: str = ""
    kerberos_silent: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For the row's JSON column."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @property
    def whom(self) -> tuple[Any, ...]:
        """What decides to whom the bind password is told: when it changes, the password has to be typed again."""
        return (self.servers, self.start_tls, self.ca)


DEFAULTS: dict[str, dict[str, Any]] = {
    "openldap": {
        "user_filter": "(objectClass=inetOrgPerson)",
        "login_attributes": ("uid",),
        "username_attribute": "uid",
        "id_attribute": "entryUUID",
        "name_attribute": "cn",
        "mail_attribute": "mail",
        "group_filter": "(objectClass=groupOfNames)",
        "group_name_attribute": "cn",
        "group_member": "member",
        "kerberos_name": BY_LOGIN,
    },
    "ad": {
        "user_filter": "(&(objectCategory=person)(objectClass=user))",
        "login_attributes": ("sAMAccountName", "userPrincipalName"),
        "username_attribute": "sAMAccountName",
        "id_attribute": "objectGUID",
        "name_attribute": "displayName",
        "mail_attribute": "mail",
        "group_filter": "(objectCategory=group)",
        "group_name_attribute": "cn",
        "group_member": "member",
        "kerberos_name": BY_LOGIN,
    },
    "freeipa": {
        "user_filter": "(objectClass=posixAccount)",
        "login_attributes": ("uid",),
        "username_attribute": "uid",
        "id_attribute": "ipaUniqueID",
        "name_attribute": "displayName",
        "mail_attribute": "mail",
        "disabled_attribute": "nsAccountLock",
        "group_filter": "(objectClass=ipaUserGroup)",
        "group_name_attribute": "cn",
        "group_member": "member",
        "kerberos_name": "krbPrincipalName",
    },
}
"""What an empty field means, by flavour."""


def parse(given: Mapping[str, Any]) -> LdapConfig:
    """The configuration with the defaults filled in. Raises Invalid with the field that cannot be right."""
    known = {field.name: field.default for field in fields(LdapConfig)}
    values = typed(given, known, _FIXES, {})
    flavour = given.get("flavour", "openldap")
    if flavour not in FLAVOURS:
        raise _invalid("flavour", N_("%(value)s is no kind of LDAP directory we know."), str(flavour))
    filled = DEFAULTS[flavour] | {name: value for name, value in values.items() if value not in ("", ())}
    config = replace(LdapConfig(), **filled)
    if not config.group_base:
        config = replace(config, group_base=config.user_base)
    _check(config)
    return config


@lru_cache(maxsize=64)
def _parsed(text: str) -> LdapConfig:
    """Checking a configuration costs as much as a bind, and each sign-in needs it."""
    return parse(json.loads(text))


def of_row(directory: "Directory") -> LdapConfig:
    """The configuration of a row. Raises Unavailable when it cannot be right: nobody can be asked then."""
    return usable(directory, lambda: _parsed(json.dumps(directory.config, sort_keys=True)))


def _check(config: LdapConfig) -> None:
    if not config.servers or len(config.servers) > MOST_SERVERS:
        raise _invalid("servers", N_("Between one and eight servers are needed."), "")
    for server in config.servers:
        _check_server(server)
    for name in ("bind_dn", "user_base", "group_base"):
        value = getattr(config, name)
        # An AD is also bound to with "name@domain".
        if value and not ldap.dn.is_dn(value) and not (name == "bind_dn" and config.flavour == "ad"):
            raise _invalid(name, N_("%(value)s is no distinguished name."), value)
    if not config.user_base:
        raise _invalid("user_base", N_("It is not said where the users are."), "")
    for name in ("username_attribute", "id_attribute", "name_attribute", "mail_attribute", "group_name_attribute",
                 "enabled_attribute", "disabled_attribute", "kerberos_name"):  # fmt: skip
        value = getattr(config, name)
        if value and not _ATTRIBUTE.fullmatch(value):
            raise _invalid(name, N_("%(value)s is no name of an attribute."), value)
    for value in config.login_attributes:
        if not _ATTRIBUTE.fullmatch(value):
            raise _invalid("login_attributes", N_("%(value)s is no name of an attribute."), value)
    for name in ("user_filter", "group_filter"):
        _check_filter(name, getattr(config, name))
    if config.group_member not in GROUP_KINDS:
        raise _invalid("group_member", N_("%(value)s is no way in which groups name members."), config.group_member)
    if not 1 <= config.full_sync_minutes <= 1440:
        raise _invalid("full_sync_minutes", N_("This has to be between 1 and 1440 minutes."), "")
    check_ca(config.ca, _FIXES)
    _check_kerberos(config)


def _check_kerberos(config: LdapConfig) -> None:
    if (config.kerberos and not config.kerberos_realms) or len(config.kerberos_realms) > MOST_REALMS:
        raise _invalid("kerberos_realms", N_("Between one and sixteen realms are needed."), "")
    for realm in config.kerberos_realms:
        if not _REALM.fullmatch(realm):
            raise _invalid("kerberos_realms", N_("%(value)s is no Kerberos realm."), realm[:80])
    if config.kerberos_service and not _SERVICE.fullmatch(config.kerberos_service):
        value = config.kerberos_service[:80]
        raise _invalid("kerberos_service", N_("%(value)s is no service principal of a website."), value)


def _check_server(server: str) -> None:
    try:
        parts = urlsplit(server)
        bad = parts.scheme not in ("ldap", "ldaps") or not parts.hostname or parts.path not in ("", "/")
        bad = bad or bool(parts.query or parts.fragment or parts.username) or (parts.port or 1) < 1
    except ValueError:
        bad = True
    if bad or any(character.isspace() or character == "," for character in server):
        raise _invalid("servers", N_("%(value)s is no address of an LDAP server."), server[:80])


def _check_filter(name: str, value: str) -> None:
    """By libldap itself, which parses a filter before it connects: port 1 of this computer is never reached."""
    if not (value.startswith("(") and value.endswith(")")):
        raise _invalid(name, N_("%(value)s is no LDAP filter."), value[:80])
    probe = ldap.initialize("ldap://127.0.0.1:1")
    try:
        probe.search_ext("", ldap.SCOPE_BASE, value, timeout=1)
    except ldap.FILTER_ERROR:
        raise _invalid(name, N_("%(value)s is no LDAP filter."), value[:80]) from None
    except ldap.LDAPError:
        return


def _invalid(field: str, message: str, value: str) -> Invalid:
    return invalid(field, message, value, _FIXES)


_FIXES = {
    "servers": N_("Write ldaps://dc1.example.org or ldap://dc1.example.org, one a line."),
    "bind_dn": N_("Write it as cn=reader,dc=example,dc=org."),
    "user_base": N_("Write it as ou=people,dc=example,dc=org."),
    "group_base": N_("Write it as ou=groups,dc=example,dc=org."),
    "user_filter": N_("Write it as (objectClass=inetOrgPerson)."),
    "group_filter": N_("Write it as (objectClass=groupOfNames)."),
    "group_member": N_("Choose member, uniqueMember or memberUid."),
    "flavour": N_("Choose openldap, ad or freeipa."),
    "ca": CA_FIX,
    "kerberos_realms": N_("Write them as they are, mostly in capitals: EXAMPLE.ORG."),
    "kerberos_service": N_("Write HTTP/ and the name in Berth's address: HTTP/berth.example.org."),
}
