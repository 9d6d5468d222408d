"""The bind password: sealed in the row, open only while the directory is asked."""

from functools import lru_cache

from django.conf import settings

from broker.core.errors import Unavailable
from broker.core.sealing import CannotOpen, Sealer
from broker.core.text import gettext_noop as N_
from broker.directories.models import Directory

_SEALER = Sealer("directory bind password")


@lru_cache(maxsize=32)
def _opened(key: str, secret: str) -> str:
    """Lines to a directory are kept under its password, so it is in this process's memory anyway."""
    return _SEALER.open(secret)


def sealed(password: str) -> str:
    """For the row's `secret`."""
    return _SEALER.seal(password)


def opened(directory: Directory) -> str:
    """The password. Raises Unavailable when it was sealed with another key of this installation."""
    try:
        return _opened(settings.SECRET_KEY, directory.secret)
    except CannotOpen:
        raise Unavailable(
            N_("The password for %(directory)s cannot be read any more: the secret key of Berth was changed."),
            fix=N_("An administrator has to type that password again."),
            rule="directory.answers",
            directory=directory.name,
        ) from None
