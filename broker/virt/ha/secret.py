"""The password of a fence device: sealed in the row, open only while the agent is asked."""

from broker.core.errors import Unavailable
from broker.core.sealing import CannotOpen, Sealer
from broker.core.text import gettext_noop as N_
from broker.virt.models import FenceDevice

_SEALER = Sealer("fence device password")


def sealed(password: str) -> str:
    """For the row's `secret`."""
    return _SEALER.seal(password)


def opened(device: FenceDevice) -> str:
    """The password. Raises Unavailable when it was sealed with another key of this installation."""
    try:
        return _SEALER.open(device.secret)
    except CannotOpen:
        raise Unavailable(
            N_("The password of %(device)s cannot be read any more: the secret key of Berth was changed."),
            fix=N_("Remove the fence device and add it again."),
            rule="fence.secret",
            device=str(device),
        ) from None
