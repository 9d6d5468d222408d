"""The addresses of network cards: made here, and never twice; the database's constraint has the last word."""

import secrets

from broker.core.errors import Unavailable
from broker.core.text import gettext_noop as N_

from .models import Nic

_PREFIX = "52:54:00:"  # QEMU's own
_TRIES = 20


def new_mac() -> str:
    """A random address that no card has. Two callers at once cannot get the same in practice; the row decides."""
    for _ in range(_TRIES):
        mac = _PREFIX + ":".join(f"{octet:02x}" for octet in secrets.token_bytes(3))
        if not Nic.objects.filter(mac=mac).exists():
            return mac
    raise Unavailable(
        N_("No free network address was found."), rule="mac.free", fix=N_("Remove network cards that are not needed.")
    )
