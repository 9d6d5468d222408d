"""Django's authentication, answered by the directories in their order."""

import logging
from typing import Any
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS
from django.http import HttpRequest

from broker import sql
from broker.core import clock
from broker.core.errors import Unavailable
from broker.core.text import gettext_noop as N_

from . import throttle
from .kinds import ELSEWHERE, KINDS
from .models import Directory, User

log = logging.getLogger(__name__)
LONGEST_NAME = 150
LONGEST_PASSWORD = 1024
NOT_ASKED = ("local", "guest", *ELSEWHERE)
"""Kinds that no server is asked about a password for."""
LONGEST_SECONDS = 2.5
"""For all directories together: the page has to say within three seconds that one is down."""
_ENABLED = sql.Statement(lambda: Directory.objects.filter(enabled=True))
_COLUMNS = [field.attname for field in User._meta.concrete_fields]
# Every request asks for its user, and whether their directory demands a second factor.
_SIGNED_IN = sql.Statement(
    lambda: (
        User.objects.filter(pk=sql.Given("pk", sql.key_of(User)))
        .order_by()
        .values_list(*_COLUMNS, "directory__kind", "directory__name", "directory__second_factor")
    )
)


class DirectoryBackend:
    """The only authentication backend, so every door is throttled here.

    A directory that is down is skipped; if no other knows the user, it is said.
    """

    def authenticate(
        self, request: HttpRequest | None, username: str = "", password: str = "", **kwargs: Any
    ) -> User | None:
        """The user, or None. Raises TooManyTries, or Unavailable when a directory does not answer."""
        name = username or ""
        address = request.META.get("REMOTE_ADDR") if request else None
        attempt = throttle.begin(name[:LONGEST_NAME], address, getattr(request, "device", ""))
        try:
            user = _asked(name, password) if _possible(name, password or "") else None
        except Unavailable:
            attempt.unanswered()
            raise
        if user is None:
            attempt.failed()
        else:
            attempt.succeeded()
        return user

    def get_user(self, user_id: UUID | str) -> User | None:
        try:
            rows = _SIGNED_IN.rows(pk=user_id)
        except ValidationError:
            return None
        if not rows:
            return None
        *values, kind, name, second_factor = rows[0]
        user = User.from_db(DEFAULT_DB_ALIAS, _COLUMNS, values)
        user.directory = sql.part_of(
            Directory, id=user.directory_id, kind=kind, name=name, second_factor=bool(second_factor)
        )
        return user if user.is_active else None


def _possible(name: str, password: str) -> bool:
    """Whether the directories are worth asking: blank passwords, say, sign in anybody where anonymous binds are on."""
    return (
        bool(name.strip() and password.strip())
        and len(name) <= LONGEST_NAME
        and len(password) <= LONGEST_PASSWORD
        and "\0" not in name + password
    )


def _asked(name: str, password: str) -> User | None:
    down: Unavailable | None = None
    directories = _ENABLED.objects()
    ends = clock.steady() + LONGEST_SECONDS
    for place, directory in enumerate(directories):
        if directory.kind not in KINDS:
            log.error("Directory %s has the unknown kind %s", directory, directory.kind)
            continue
        afar = sum(other.kind not in NOT_ASKED for other in directories[place:])
        share = max((ends - clock.steady()) / max(afar, 1), 0.1)
        try:
            if user := KINDS.get(directory.kind).authenticate(directory, name, password, seconds=share):
                user.directory = directory  # it is here; who asks about it later need not read it again
                return user
        except Unavailable as error:
            down = error
        except Exception:
            log.exception("Directory %s failed; the others are asked all the same", directory)
            down = Unavailable(
                N_("The directory %(directory)s cannot be asked at the moment."),
                fix=N_("Try again in a moment; if it stays so, tell an administrator."),
                rule="directory.answers",
                directory=directory.name,
            )
    if not User.objects.filter(directory__kind="local", directory__enabled=True, username__iexact=name).exists():
        make_password(password)  # as much work as a check of a local user, so that time does not tell who exists
    if down is not None:
        raise down
    return None
