"""Everybody and every group of a directory, read once and kept small.

Who is in a group is one bit for each user in one number: 10,000 users in 200 groups are 250 KB, and groups in groups
are an “or”.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import ldap.dn

from broker.directories.found import GroupFound, Person

from .config import LdapConfig
from .entries import external_id, first, person, user_attributes
from .line import Line
from .reading import pages, whole


@dataclass
class Roster:
    """`members[group id]` has bit n set when `people[n]` is in the group, directly or by another group."""

    people: list[Person] = field(default_factory=list)
    groups: dict[str, GroupFound] = field(default_factory=dict)
    members: dict[str, int] = field(default_factory=dict)
    unusable: int = 0


@dataclass
class _Group:
    found: GroupFound
    bits: int
    others: list[str]


def read(line: Line, config: LdapConfig) -> Roster:
    """The whole directory. Raises Unavailable unless every page came."""
    roster, places, primaries = Roster(), dict[str, int](), dict[str, int]()
    seen: set[str] = set()
    for dn, entry in pages(line, config.user_base, config.user_filter, user_attributes(config)):
        who = person(config, entry)
        if who is None or who.id in seen:
            roster.unusable += 1
            continue
        seen.add(who.id)
        place = len(roster.people)
        roster.people.append(who)
        key = first(entry, "uid").lower() if config.group_member == "memberUid" else plain(dn)
        places[key] = place
        if number := first(entry, "primaryGroupID" if config.flavour == "ad" else "gidNumber"):
            primaries[number] = primaries.get(number, 0) | 1 << place
    _read_groups(line, config, roster, places, primaries)
    return roster


def _read_groups(
    line: Line, config: LdapConfig, roster: Roster, places: Mapping[str, int], primaries: Mapping[str, int]
) -> None:
    asked = [config.id_attribute, config.group_name_attribute, config.group_member, "objectSid", "gidNumber"]
    by_dn: dict[str, _Group] = {}
    for dn, entry in pages(line, config.group_base, config.group_filter, asked):
        id, name = external_id(config, entry), first(entry, config.group_name_attribute)
        if not id or not name:
            roster.unusable += 1
            continue
        named = whole(line, dn, entry, config.group_member)
        bits, others = _bits(config, named, places)
        by_dn[plain(dn)] = _Group(GroupFound(id, name), bits | primaries.get(_number(config, entry), 0), others)
    for dn, group in by_dn.items():
        roster.groups[group.found.id] = group.found
        roster.members[group.found.id] = _closed(dn, by_dn) if config.nested else group.bits


def _bits(config: LdapConfig, named: Iterable[bytes], places: Mapping[str, int]) -> tuple[int, list[str]]:
    flags, others = bytearray(len(places) // 8 + 1), []
    for value in named:
        text = value.decode("utf-8", "replace")
        key = text.strip().lower() if config.group_member == "memberUid" else plain(text)
        place = places.get(key)
        if place is None:
            others.append(key)
        else:
            flags[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(flags, "little"), others


def _closed(dn: str, by_dn: Mapping[str, _Group]) -> int:
    """All bits reachable; each group is entered once, so that a loop ends."""
    bits, todo, seen = 0, [dn], {dn}
    while todo:
        group = by_dn[todo.pop()]
        bits |= group.bits
        for other in group.others:
            if other in by_dn and other not in seen:
                seen.add(other)
                todo.append(other)
    return bits


def _number(config: LdapConfig, entry: Mapping[str, list[bytes]]) -> str:
    """What users name the group by as their primary one: gidNumber, or the last part of an AD's SID."""
    if config.flavour != "ad":
        return first(entry, "gidNumber") if config.group_member == "memberUid" else ""
    sid = entry.get("objectSid") or [b""]
    return str(int.from_bytes(sid[0][-4:], "little")) if len(sid[0]) >= 12 else ""


def plain(dn: str) -> str:
    """A DN in one form: members may be written with other spaces, escapes or case than the entry they mean."""
    if "\\" in dn or ", " in dn or " ," in dn or "= " in dn or '"' in dn:
        try:
            dn = ldap.dn.dn2str(ldap.dn.str2dn(dn))
        except ldap.DECODING_ERROR:
            return dn.lower()
    return dn.lower()


def fingerprint(line: Line, config: LdapConfig) -> str:
    """Changes whenever a group is made, removed or changed; costs a line for each group, not its members.

    An AD counts changes in uSNChanged (each of its servers by itself: after a failover everything is read once more).
    """
    stamp = "uSNChanged" if config.flavour == "ad" else "modifyTimestamp"
    asked = [config.id_attribute, stamp, "entryCSN"]
    told = sorted(
        f"{external_id(config, entry)} {first(entry, stamp)} {first(entry, 'entryCSN')}"
        for _, entry in pages(line, config.group_base, config.group_filter, asked)
    )
    return hashlib.sha256("\n".join(told).encode()).hexdigest()
