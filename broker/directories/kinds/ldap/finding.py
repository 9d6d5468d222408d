"""Find one user and the groups they are in, on django-auth-ldap's searches and group types.

Nested groups are walked upwards; every DN is looked at once, so that groups which contain each other do no harm. An
AD is asked in one search by its matching rule.
"""

from functools import lru_cache
from typing import Any

import ldap
import ldap.filter
from django_auth_ldap.backend import LDAPBackend, _LDAPUser
from django_auth_ldap.config import (
    GroupOfNamesType,
    GroupOfUniqueNamesType,
    LDAPGroupType,
    LDAPSearch,
    LDAPSettings,
    MemberDNGroupType,
    NestedGroupOfNamesType,
    NestedGroupOfUniqueNamesType,
    PosixGroupType,
)

from broker.directories.found import GroupFound, Person

from .config import LdapConfig
from .entries import external_id, first, id_filter, person, user_attributes
from .kept import DOOR, READER, Keeper
from .line import SIGN_IN_SECONDS, Line, unavailable
from .reading import pages

IN_CHAIN = "1.2.840.113556.1.4.1941"  # LDAP_MATCHING_RULE_IN_CHAIN
REFUSED = (
    ldap.INVALID_CREDENTIALS, ldap.UNWILLING_TO_PERFORM, ldap.CONSTRAINT_VIOLATION, ldap.INAPPROPRIATE_AUTH,
    ldap.NO_SUCH_OBJECT, ldap.INSUFFICIENT_ACCESS, ldap.INVALID_DN_SYNTAX,
)  # fmt: skip
"""How servers say no to a user's own bind: wrong, locked, disabled, expired, without a password."""


class Ambiguous(Exception):
    """More than one entry answers to what was typed: nobody is signed in."""


class InChainGroupType(MemberDNGroupType):
    """An AD's own walk up the groups: one search however deep they are."""

    def __init__(self) -> None:
        super().__init__(f"member:{IN_CHAIN}:")


class Searcher(_LDAPUser):
    """django-auth-ldap's user of one sign-in, over our line."""

    def __init__(self, backend: "RowBackend", username: str):
        super().__init__(backend, username=username)
        self.person: Person | None = None
        self._lines = backend.lines()
        self._line: Line | None = None

    @property
    def line(self) -> Line:
        """Bound as the reader, for as long as this user is looked at."""
        return self._get_connection()

    @property
    def connection(self) -> Line:
        return self._get_connection()

    def _get_connection(self) -> Line:
        if self._line is None:
            _, self._line = self._lines.done_on(READER, lambda line: None)
        return self._line

    def _search_for_user_dn(self) -> str | None:
        """Also takes the attributes along: one search less. Raises Ambiguous, Unavailable."""

        def search(line: Line) -> Any:
            try:
                return self.settings.USER_SEARCH.execute(line, {"user": self._username})
            except ldap.LDAPError as error:
                raise unavailable(line.server, error) from None

        self.close()
        found, self._line = self._lines.done_on(READER, search)
        if not found:
            return None
        if len(found) > 1:
            raise Ambiguous(self._username)
        dn, self._user_attrs = found[0]
        self.person = person(self.backend.config, self._user_attrs)
        return str(dn)

    def fits(self, password: str) -> bool:
        """Whether the server takes the password. An unknown user costs a bind too, so that time tells nothing."""
        dn = self.dn

        def knock(line: Line) -> bool:
            try:
                line.simple_bind_s(dn or self.backend.nobody, password)
            except REFUSED:
                return False
            except ldap.LDAPError as error:
                raise unavailable(line.server, error) from None
            return dn is not None

        taken, door = self._lines.done_on(DOOR, knock)
        self._lines.keep(DOOR, door)
        return taken

    def groups(self) -> list[GroupFound]:
        """The groups the user is in, directly and by other groups."""
        config = self.backend.config
        try:
            found = list(self._get_groups()._get_group_infos())
            if config.flavour == "ad":
                found += self._primary_group()
        except ldap.LDAPError as error:
            raise unavailable(self.line.server, error) from None
        groups = {
            id: GroupFound(id, first(entry, config.group_name_attribute))
            for _, entry in found
            if (id := external_id(config, entry))
        }
        return sorted(groups.values(), key=lambda group: group.name.lower())

    def _primary_group(self) -> list[Any]:
        """An AD names it by number only: the domain's SID with that number at its end."""
        sid, number = self._user_attrs.get("objectSid"), first(self._user_attrs, "primaryGroupID")
        if not sid or not number.isdecimal():
            return []
        raw = sid[0] if isinstance(sid[0], bytes) else sid[0].encode()
        escaped = "".join(f"\\{byte:02x}" for byte in raw[:-4] + int(number).to_bytes(4, "little"))
        search = self.settings.GROUP_SEARCH.search_with_additional_term_string(f"(objectSid={escaped})")
        return list(search.execute(self.connection))

    def look(self, external_id: str) -> Person | None:
        """The user with this id, now; None when the directory has none."""
        config = self.backend.config
        wanted = f"(&{config.user_filter}{id_filter(config, external_id)})"
        found = pages(self.connection, config.user_base, wanted, user_attributes(config), most=1)
        return next((person(config, entry) for _, entry in found), None)

    def close(self) -> None:
        """Give the line back."""
        if self._line is not None:
            self._lines.keep(READER, self._line)
            self._line = None


class RowBackend(LDAPBackend):
    """django-auth-ldap's backend with the settings of one row instead of Django's."""

    def __init__(
        self, config: LdapConfig, password: str, *, seconds: float = SIGN_IN_SECONDS, patient: bool = False,
        by: str = "",
    ):  # fmt: skip
        """`by`: the one attribute that is compared with what is looked for, instead of those that may be typed."""
        self.config, self.password, self.seconds, self.patient = config, password, seconds, patient
        self.nobody = f"cn=nobody-{'0' * 12},{config.user_base}"
        self.settings = _settings(config, (by,) if by else config.login_attributes)

    def lines(self) -> Keeper:
        return Keeper(self.config, self.password, seconds=self.seconds, patient=self.patient)

    def find(self, username: str) -> Searcher:
        """Somebody who may or may not exist; nothing is asked yet."""
        return Searcher(self, username)


@lru_cache(maxsize=32)
def _settings(config: LdapConfig, attributes: tuple[str, ...]) -> LDAPSettings:
    """What django-auth-ldap reads of its settings; the same for all who sign in."""
    typed = "".join(f"({name}=%(user)s)" for name in attributes)
    return LDAPSettings(
        "BERTH_LDAP_",
        {
            "USER_SEARCH": LDAPSearch(
                config.user_base,
                ldap.SCOPE_SUBTREE,
                f"(&{config.user_filter.replace('%', '%%')}(|{typed}))",
                user_attributes(config),
            ),
            "GROUP_SEARCH": LDAPSearch(
                config.group_base,
                ldap.SCOPE_SUBTREE,
                config.group_filter.replace("%", "%%"),
                [config.id_attribute, config.group_name_attribute],
            ),
            "GROUP_TYPE": group_type(config),
        },
    )


def group_type(config: LdapConfig) -> LDAPGroupType:
    if config.group_member == "memberUid":
        return PosixGroupType()
    if config.group_member == "uniqueMember":
        return NestedGroupOfUniqueNamesType() if config.nested else GroupOfUniqueNamesType()
    if config.flavour == "ad" and config.nested:
        return InChainGroupType()
    return NestedGroupOfNamesType() if config.nested else GroupOfNamesType()
