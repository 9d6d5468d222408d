"""What a person is called in the guest of a desktop: the directory's pattern, filled in, and checked hard.

The name goes to a root shell in the guest as one word of a command, so that only what is certainly a name passes.
"""

import re

from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_

from .models import Directory, User

LOGIN = "{login}"
LONGEST = 128
_PARTS = ("login", "name", "realm")
_PART = re.compile(r"\{([a-z]+)\}")
_LITERAL = re.compile(r"[A-Za-z0-9._@-]*")
# As useradd and sssd have them; no blank, no quote, no backslash, no leading dash or digit.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,63}(@[A-Za-z0-9][A-Za-z0-9.-]{0,62})?")
_DOMAIN_PART = re.compile(r"(?:^|,)\s*dc=([A-Za-z0-9-]+)\s*(?=,|$)", re.IGNORECASE)


def is_name(text: str) -> bool:
    """Whether it may be said to a guest as somebody's name."""
    return _NAME.fullmatch(text) is not None


def checked_pattern(pattern: str) -> str:
    """The pattern of a directory. Raises Invalid for the field `guest_name`.

    `{login}` is the user name, `{name}` what of it stands before an @, `{realm}` what stands behind, or the domain of
    the directory's user base. Empty: nobody of the directory is signed on in guests.
    """
    pattern = str(pattern).strip()
    parts, literal = _PART.findall(pattern), _PART.sub("", pattern)
    if pattern and (
        len(pattern) > LONGEST or not _LITERAL.fullmatch(literal) or not {"login", "name"} & set(parts)
        or set(parts) - set(_PARTS)
    ):  # fmt: skip
        raise Invalid(
            N_("This is no pattern for names in guests."),
            field="guest_name",
            fix=N_("Use {login} or {name}, {realm}, and beside them letters, digits, and . _ - @ only."),
        )
    return pattern


def name_in_guest(user: User) -> str:
    """What the user, whose directory is loaded, is called there. Raises Conflict when there is no such name."""
    directory = user.directory
    if not directory.guest_name or directory.kind == "guest":
        raise Conflict(
            N_("People of the directory “%(directory)s” are not signed on in desktops."),
            rule="guest.name",
            fix=N_("Sign in there by hand, or have an administrator set names in guests for this directory."),
            directory=directory.name,
        )
    name, _at, realm = user.username.partition("@")
    values = {"login": user.username, "name": name, "realm": realm or _domain(directory)}
    found = _PART.sub(lambda part: values.get(part[1], part[0]), directory.guest_name)
    if not is_name(found):
        raise Conflict(
            N_("“%(name)s” cannot be a name in a guest."),
            rule="guest.name",
            fix=N_("Change the user name, or the pattern of names in guests of the directory “%(directory)s”."),
            name=found[:LONGEST],
            directory=directory.name,
        )
    return found


def _domain(directory: Directory) -> str:
    """corp.example of a user base like ou=people,dc=corp,dc=example."""
    return ".".join(_DOMAIN_PART.findall(str(directory.config.get("user_base", "")))).lower()
