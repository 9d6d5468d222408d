"""Read users and groups in pages. An answer is whole or an error: half a list never counts as a list."""

from collections.abc import Iterator, Sequence
from typing import Any

import ldap
from ldap.cidict import cidict
from ldap.controls import SimplePagedResultsControl

from .config import LdapConfig
from .line import Line, unavailable

PAGE = 500
PAGED = SimplePagedResultsControl.controlType
Entry = tuple[str, "cidict"]


def pages(
    line: Line, base: str, wanted: str, attributes: Sequence[str], *, most: int | None = None
) -> Iterator[tuple[str, cidict]]:
    """Entries as (DN, attributes as bytes, their names in any case), page by page; at most `most` if given.

    Raises Unavailable for anything but a whole answer: size and time limits and referrals of the server included.
    """
    size = PAGE if most is None else min(PAGE, most)
    control = SimplePagedResultsControl(True, size=size, cookie="")
    seen = 0
    while True:
        entries, control.cookie = _page(line, base, wanted, attributes, control)
        for dn, values in entries:
            yield dn, cidict(values)
            seen += 1
            if most is not None and seen >= most:
                return
        if not control.cookie:
            return


def _page(
    line: Line, base: str, wanted: str, attributes: Sequence[str], control: SimplePagedResultsControl
) -> tuple[list[tuple[str, dict[str, list[bytes]]]], bytes]:
    try:
        number = line.search_ext(base, ldap.SCOPE_SUBTREE, wanted, list(attributes), serverctrls=[control])
        _, entries, _, controls = line.result3(number)
    except ldap.LDAPError as error:
        raise unavailable(line.server, error) from None
    cookies = [given.cookie for given in controls if given.controlType == PAGED]
    # AD and others put references to other servers among the entries: not ours to follow, and no entries.
    return [(dn, values) for dn, values in entries if dn is not None], cookies[0] if cookies else b""


def whole(line: Line, dn: str, values: cidict, name: str) -> list[bytes]:
    """All values of an attribute; an AD gives 1,500 at a time, as `member;range=0-1499`."""
    if values.get(name):
        return list(values[name])
    found: list[bytes] = []
    part = _part(values, name)
    while part is not None:
        key, last = part
        found += values[key]
        if last == "*":
            break
        following = f"{name};range={int(last) + 1}-*"
        try:
            answer = [entry for entry in line.search_s(dn, ldap.SCOPE_BASE, "(objectClass=*)", [following]) if entry[0]]
        except ldap.LDAPError as error:
            raise unavailable(line.server, error) from None
        if len(answer) != 1:
            raise unavailable(line.server, ldap.PARTIAL_RESULTS())
        values = cidict(answer[0][1])
        if (part := _part(values, name)) is None:
            raise unavailable(line.server, ldap.PARTIAL_RESULTS())
    return found


def _part(values: Any, name: str) -> tuple[str, str] | None:
    for key in values.keys():  # noqa: SIM118 - cidict's own iteration gives lower case
        lower = key.lower()
        if lower.startswith(f"{name.lower()};range="):
            return key, lower.rpartition("-")[2]
    return None


def changed_since(config: LdapConfig, attribute: str, when: str) -> str:
    """The filter for users changed at `when` (GeneralizedTime) or later."""
    return f"(&{config.user_filter}({attribute}>={when}))"
