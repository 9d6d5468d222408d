"""The password of a fence device: sealed in the row, open only while the agent is asked."""

from functools import cache

from django.conf import settings

from broker.core.errors import Unavailable
from broker.core.sealing import CannotOpen, Sealer
from broker.core.text import gettext_noop as N_
from broker.virt.models import FenceDevice


@cache
def _sealer(key: str) -> Sealer:
    return Sealer(key, "fence device password")


def sealed(password: str) -> str:
    """For the row's `secret`."""
    return _sealer(settings.SECRET_KEY).seal(password)


def opened(device: FenceDevice) -> str:
    """The password. Raises Unavailable when it was sealed with another key of this installation."""
    try:
        return _sealer(settings.SECRET_KEY).open(device.secret)
    except CannotOpen:
        raise Unavailable(
            N_("The password of %(device)s cannot be read any more: the secret key of Berth was changed."),
            fix=N_("Remove the fence device and add it again."),
            rule="fence.secret",
            device=str(device),
        ) from None
