"""Read an entry as it comes from the server: ids, texts, and whether its user may sign in.

Whatever is of the wrong type refuses: an attribute that says who may sign in and cannot be read does not let in.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from ldap.cidict import cidict

from broker.core import clock
from broker.directories.found import Person

from .config import LdapConfig

ACCOUNT_DISABLED = 0x2  # userAccountControl: ADS_UF_ACCOUNTDISABLE
LONGEST_NAME = 150
_TRUE, _FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no"})
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
# Windows counts 100 ns from 1601; both ends of the range mean "never".
_NEVER = (0, 0x7FFFFFFFFFFFFFFF)
_EPOCH = 11_644_473_600
_IPA_ENDS, _IPA_PASSWORD_ENDS = "krbPrincipalExpiration", "krbPasswordExpiration"
_LOCKED_FOR_GOOD = "000001010000Z"  # pwdAccountLockedTime: until an administrator unlocks


def user_attributes(config: LdapConfig) -> list[str]:
    """What is asked for about users; operational ones have to be named."""
    names = [
        config.id_attribute, config.username_attribute, config.name_attribute, config.mail_attribute,
        config.enabled_attribute, config.disabled_attribute, changed_attribute(config),
    ]  # fmt: skip
    if config.flavour == "ad":
        names += ["userAccountControl", "accountExpires", "primaryGroupID", "objectSid"]
    else:
        names.append("pwdAccountLockedTime")
    if config.flavour == "freeipa":
        names += [_IPA_ENDS, _IPA_PASSWORD_ENDS]
    if config.group_member == "memberUid":
        names += ["uid", "gidNumber"]
    return sorted({name for name in names if name})


def changed_attribute(config: LdapConfig) -> str:
    """When an entry was last changed, as the server counts."""
    return "whenChanged" if config.flavour == "ad" else "modifyTimestamp"


def external_id(config: LdapConfig, attributes: Mapping[str, Sequence[Any]]) -> str:
    """The id that survives renaming, as text; "" when the entry has none or more than one."""
    values = attributes.get(config.id_attribute, [])
    if len(values) != 1:
        return ""
    if config.id_attribute.lower() == "objectguid":
        raw = _bytes(values[0])
        return str(UUID(bytes_le=raw)) if len(raw) == 16 else ""
    text = _text(values[0]).strip().lower()
    return text if text.isprintable() and len(text) <= 255 else ""


def id_filter(config: LdapConfig, id: str) -> str:
    """The filter that finds exactly the entry with this external id."""
    if config.id_attribute.lower() == "objectguid":
        return f"({config.id_attribute}={''.join(f'{chr(92)}{byte:02x}' for byte in UUID(id).bytes_le)})"
    escaped = re.sub(r"[^A-Za-z0-9_-]", lambda found: "".join(f"\\{byte:02x}" for byte in found[0].encode()), id)
    return f"({config.id_attribute}={escaped})"


def person(config: LdapConfig, attributes: Mapping[str, Sequence[Any]]) -> Person | None:
    """The user of an entry, or None for one that cannot be one: without an id or a name that can be used."""
    entry = cidict(dict(attributes))
    id, username = external_id(config, entry), first(entry, config.username_attribute)
    if not id or not username or len(username) > LONGEST_NAME or any(map(_unseen, username)):
        return None
    return Person(
        id=id,
        username=unicodedata.normalize("NFKC", username),
        display_name=_shown(first(entry, config.name_attribute), 255),
        email=_shown(first(entry, config.mail_attribute), 254),
        may_sign_in=may_sign_in(config, entry),
        changed=first(entry, changed_attribute(config)),
        must_change=config.flavour == "freeipa" and _over(entry, _IPA_PASSWORD_ENDS),
    )


def may_sign_in(config: LdapConfig, entry: Mapping[str, Sequence[Any]]) -> bool:
    """Whether the directory lets this user in. What is missing or of the wrong type where it must not be refuses."""
    if config.enabled_attribute and _flag(entry, config.enabled_attribute, missing=None) is not True:
        return False
    if config.disabled_attribute and _flag(entry, config.disabled_attribute, missing=False) is not False:
        return False
    if config.flavour == "ad":
        control = _number(first(entry, "userAccountControl"))
        return control is not None and not control & ACCOUNT_DISABLED and not _expired(entry)
    if config.flavour == "freeipa" and _over(entry, _IPA_ENDS):
        return False
    return first(entry, "pwdAccountLockedTime") != _LOCKED_FOR_GOOD


def first(entry: Mapping[str, Sequence[Any]], name: str) -> str:
    """The attribute's first value as text, "" without one."""
    values = entry.get(name) if name else None
    return _text(values[0]).strip() if values else ""


def _flag(entry: Mapping[str, Sequence[Any]], name: str, *, missing: bool | None) -> bool | None:
    values = entry.get(name) or []
    if not values:
        return missing
    word = _text(values[0]).strip().lower()
    if len(values) > 1 or word not in _TRUE | _FALSE:
        return None
    return word in _TRUE


def _expired(entry: Mapping[str, Sequence[Any]]) -> bool:
    if not (told := first(entry, "accountExpires")):
        return False
    ticks = _number(told)
    if ticks is None:
        return True
    if ticks in _NEVER:
        return False
    return ticks / 10_000_000 - _EPOCH <= clock.now().timestamp()


def _over(entry: Mapping[str, Sequence[Any]], name: str) -> bool:
    """Whether the time in the attribute has come; one that cannot be read has, a missing one never does."""
    if not (told := first(entry, name)):
        return False
    ends = moment(told)
    return ends is None or ends <= clock.now()


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?[0-9]{1,20}", text) else None


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _shown(text: str, longest: int) -> str:
    return "".join(character for character in text if not _unseen(character))[:longest]


def _unseen(character: str) -> bool:
    return unicodedata.category(character) in _UNSEEN


def moment(told: str) -> datetime | None:
    """A GeneralizedTime ("20261122230405Z", "…05.0Z") in UTC, or None."""
    found = re.fullmatch(r"([0-9]{14})(?:[.,][0-9]+)?Z", told)
    try:
        return datetime.strptime(found[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC) if found else None
    except ValueError:
        return None
