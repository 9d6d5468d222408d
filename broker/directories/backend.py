"""Django's authentication, answered by the directories in their order."""

import logging
from typing import Any
from uuid import UUID

from django.http import HttpRequest

from broker.core.errors import Unavailable

from .kinds import KINDS
from .models import Directory, User

log = logging.getLogger(__name__)
LONGEST_NAME = 150
LONGEST_PASSWORD = 1024


class DirectoryBackend:
    """The only authentication backend. A directory that is down is skipped; if no other knows the user, it is said."""

    def authenticate(
        self, request: HttpRequest | None, username: str = "", password: str = "", **kwargs: Any
    ) -> User | None:
        name = username or ""
        if (
            not name
            or not password
            or len(name) > LONGEST_NAME
            or len(password) > LONGEST_PASSWORD
            or "\0" in name + password
        ):
            return None
        down: Unavailable | None = None
        for directory in Directory.objects.filter(enabled=True):
            if directory.kind not in KINDS:
                log.error("Directory %s has the unknown kind %s", directory, directory.kind)
                continue
            try:
                if user := KINDS.get(directory.kind).authenticate(directory, name, password):
                    return user
            except Unavailable as error:
                down = error
        if down is not None:
            raise down
        return None

    def get_user(self, user_id: UUID | str) -> User | None:
        return User.objects.filter(pk=user_id, is_active=True).first()
