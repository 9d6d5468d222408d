"""People who sign in at a provider: what is made of its word, whatever it is written in.

Nobody can be asked about between two sign-ins, so who has a name keeps it until an administrator decides.
"""

import hashlib
import logging
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError

from broker.core.errors import Denied, Invalid, Unavailable
from broker.core.text import gettext_noop as N_

from .found import GroupFound, Person
from .https import Silent
from .models import Directory, User
from .people import take_in
from .rules import checked_username

log = logging.getLogger(__name__)
LONGEST_SUBJECT = 200
LONGEST_GROUP = 200
MOST_GROUPS = 1000
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})


class Untrue(Exception):
    """What the provider says proves nothing; the text is for the log."""


@dataclass(frozen=True)
class Preview:
    """`facts` are pairs of words and what was found; the rest is what LDAP directories tell, and unknown here.

    `error` says why nothing (more) could be read. `warnings` are names of what works but should not stay so.
    """

    bound: bool = False
    server: str = ""
    error: Unavailable | None = None
    facts: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    users: tuple[Any, ...] = ()
    user_count: int = 0
    groups: tuple[Any, ...] = ()
    group_count: int = 0
    named: None = None


def person_of(issuer: str, subject: str, username: Any, name: Any, mail: Any) -> Person:
    """The person `subject` of the issuer: with another issuer the same is another person.

    Raises Untrue when there is no user name or no subject, or one that cannot be used.
    """
    if not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isascii() or not subject.isprintable():
        raise Untrue("its subject cannot be used")
    try:
        called = checked_username(username if isinstance(username, str) else "")
    except Invalid:
        raise Untrue("its user name is missing or cannot be used") from None
    id = f"{hashlib.sha256(issuer.encode()).hexdigest()[:24]}:{subject}"
    return Person(id, called, shown(name), _mail(mail), True)


def groups_of(told: Any) -> list[GroupFound]:
    """The groups, each once. Raises Untrue for what is no list of names: it must not count as "none"."""
    if told is None:
        return []
    if not isinstance(told, list) or len(told) > MOST_GROUPS or not all(isinstance(one, str) for one in told):
        raise Untrue("its groups are no list of names")
    # One that looks like another is left out: what it gives could not be told apart by eye.
    names = dict.fromkeys(one for one in told if one and len(one) <= LONGEST_GROUP and shown(one) == one)
    return [GroupFound(name, name) for name in names]


def shown(value: Any) -> str:
    """As it can be shown: trimmed, without what nobody can see."""
    if not isinstance(value, str):
        return ""
    seen = (sign for sign in unicodedata.normalize("NFC", value) if unicodedata.category(sign) not in _UNSEEN)
    return "".join(seen).strip()[:255]


def let_in(directory: Directory, person: Person, groups: Iterable[GroupFound]) -> User:
    """The person's row, made or brought up to date. Raises Denied for one disabled here, Conflict for a taken name."""
    groups = list(groups)

    def look(external_id: str) -> Person | None:
        holder = User.objects.filter(directory=directory, external_id=external_id).first()
        return Person(external_id, holder.username, holder.display_name, holder.email, True) if holder else None

    try:
        user = take_in(directory, person, groups, look)
    except IntegrityError:  # the same person in another tab was first: now the row is there
        user = take_in(directory, person, groups, look)
    if not user.is_active:
        raise Denied(
            N_("This account is disabled here."), rule="access.user", fix=N_("Ask an administrator to enable it.")
        )
    user.directory = directory
    return user


def not_believed(directory: Directory, error: Untrue) -> Denied:
    """For a browser whose provider's word is not good; why is in the log alone."""
    log.warning("%s: a sign-in was refused: %s", directory, error)
    return Denied(
        N_("What %(directory)s says about you could not be used, so you were not signed in."),
        rule="directory.proof",
        fix=N_("Try again; if it stays so, tell an administrator: the server's log says why."),
        directory=directory.name,
    )


def anew() -> Denied:
    """For a browser that comes back with what it did not begin, or began too long ago."""
    return Denied(
        N_("This sign-in was not begun in this browser, is over, or was used already."),
        rule="directory.state",
        fix=N_("Begin it anew."),
    )


def refused_there(directory: Directory, words: str) -> Denied:
    """For a browser whose provider says no; `words` are of ours, with %(directory)s in them."""
    return Denied(
        words,
        rule="directory.refused",
        fix=N_("Try again; if it stays so, tell an administrator."),
        directory=directory.name,
    )


def down(directory: Directory, error: Silent) -> Unavailable:
    """For a provider that cannot be asked; why is in the log alone."""
    log.warning("%s: the provider cannot be used: %s", directory, error)
    return unanswered(directory, N_("%(directory)s does not answer at the moment, or not as it should."))


def unanswered(directory: Directory, words: str) -> Unavailable:
    """For a provider that says it cannot at the moment; `words` as in refused_there()."""
    return Unavailable(
        words,
        fix=N_("Try again in a moment; if it stays so, tell an administrator."),
        rule="directory.provider",
        directory=directory.name,
    )


def _mail(told: Any) -> str:
    value = shown(told)
    try:
        validate_email(value)
    except ValidationError:
        return ""
    return value if len(value) <= 254 else ""
