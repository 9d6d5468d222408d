"""The CHAP password of a storage: sealed in the row, open only for drivers."""

from broker.core.errors import Unavailable
from broker.core.sealing import CannotOpen, Sealer
from broker.core.text import gettext_noop as N_

from .models import StorageDomain

_SEALER = Sealer("storage password")


def sealed(password: str) -> str:
    """For the row's `secret`."""
    return _SEALER.seal(password)


def unsealed(secret: str) -> str:
    """What was sealed, empty for nothing. Raises CannotOpen."""
    return _SEALER.open(secret)


def opened(storage: StorageDomain) -> str:
    """The password, empty where none is needed. Raises Unavailable when it was sealed with another key."""
    try:
        return unsealed(storage.secret)
    except CannotOpen:
        raise Unavailable(
            N_("The password of %(storage)s cannot be read any more: the secret key of Berth was changed."),
            fix=N_("Detach the storage and add it again."), rule="storage.secret", storage=storage.name,
        ) from None  # fmt: skip
