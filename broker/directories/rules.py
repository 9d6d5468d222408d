"""What user and group names and passwords must be like, and who may touch whose account."""

import re
import unicodedata
from typing import Any

from django.contrib.auth.password_validation import get_password_validators, validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from broker.access.actor import Actor
from broker.access.handing_out import ensure_over_person
from broker.access.require import require, require_account
from broker.core.errors import Conflict, Denied, Invalid
from broker.core.text import gettext_noop as N_

from .models import Directory, Group, User

LONGEST_PASSWORD = 1024
_USERNAME = re.compile(r"[\w][\w.@+-]{0,149}")
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
_VALIDATORS: list[dict[str, Any]] = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]


def checked_username(name: str) -> str:
    """The name in its normal form. Raises Invalid for what cannot be told apart from another by eye."""
    name = unicodedata.normalize("NFKC", name)
    if not _USERNAME.fullmatch(name):
        raise Invalid(
            N_("This user name cannot be used."),
            field="username",
            fix=N_("Use letters, digits and . @ + - _, at most 150, beginning with a letter or digit."),
        )
    return name


def checked_text(value: str, field: str, longest: int = 255) -> str:
    """The text, trimmed. Raises Invalid when it is too long or has characters that nobody can see."""
    value = unicodedata.normalize("NFC", value).strip()
    if len(value) > longest:
        raise Invalid(
            N_("This is too long."), field=field, fix=N_("Use at most %(longest)s characters."), longest=longest
        )
    if any(unicodedata.category(character) in _UNSEEN for character in value):
        raise Invalid(
            N_("This has characters that cannot be seen."), field=field, fix=N_("Type it instead of pasting it.")
        )
    return value


def checked_email(value: str) -> str:
    """The address, or "". Raises Invalid when it is none."""
    value = checked_text(value, "email", 254)
    if value:
        try:
            validate_email(value)
        except ValidationError:
            raise Invalid(
                N_("This is not an e-mail address."), field="email", fix=N_("Write it as name@example.org.")
            ) from None
    return value


def checked_password(password: str, user: User) -> str:
    """The password. Raises Invalid with what is wrong with it."""
    if len(password) > LONGEST_PASSWORD or "\0" in password:
        raise Invalid(N_("This password is too long."), field="password", fix=N_("Use at most 1024 characters."))
    try:
        validate_password(password, user, get_password_validators(_VALIDATORS))
    except ValidationError as error:
        raise Invalid(
            N_("%(causes)s"), field="password", fix=N_("Use ten characters or more; several words are fine."),
            causes=" ".join(error.messages),
        ) from None  # fmt: skip
    return password


def ensure_local(directory: Directory) -> None:
    """Raise Conflict for a directory whose users are kept elsewhere."""
    if directory.kind != "local":
        raise Conflict(
            N_("The users of %(directory)s are kept there, not here."),
            rule="directory.local",
            fix=N_("Change them in that directory."),
            directory=directory.name,
        )


def require_over(actor: Actor, user: Any) -> None:
    """Raise unless `actor` may manage `user`: who manages users may not thereby get rights beyond their own."""
    require(actor, "user.manage", user)
    if user.pk != actor.user_id:
        ensure_over_person(actor, user=user)


def require_over_group(actor: Actor, group: Group) -> None:
    """Raise unless `actor` may manage `group`: a group that holds rights is the business of who may hand those out."""
    require(actor, "user.manage", group)
    if group.grants.exists():
        require(actor, "system.manage")
        ensure_over_person(actor, group=group)


def require_self(actor: Actor, user: User) -> None:
    """Raise unless it is the actor's own account, of somebody who signs in: Missing, or Denied."""
    require(actor, "user.view", user)
    require_account(actor)
    if actor.user_id != user.pk or user.directory.kind == "guest":
        raise Denied(
            N_("A second factor is set up and changed by whose it is."),
            rule="access.user",
            fix=N_("Who may manage the user can reset it."),
        )
