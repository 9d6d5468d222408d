"""The password of a PC's VNC server: sealed in the row, open only for the gateway that signs in with it."""

from broker.core.errors import Invalid, Unavailable
from broker.core.sealing import CannotOpen, Sealer
from broker.core.text import gettext_noop as N_
from broker.virt.models import PhysicalMachine

LONGEST = 8
"""RFC 6143, section 7.2.2: VNC authentication uses eight characters and drops what follows."""
_SEALER = Sealer("password of a physical machine")


def sealed(password: str) -> str:
    """For the row's `vnc_secret`. Raises Invalid."""
    if not password.isascii() or not password.isprintable() or len(password) > LONGEST:
        raise Invalid(
            N_("VNC cannot use this password."), field="vnc_password",
            fix=N_("Use at most %(longest)s letters, digits and signs of ASCII; VNC knows no longer ones."),
            longest=LONGEST,
        )  # fmt: skip
    return _SEALER.seal(password)


def opened(pc: PhysicalMachine) -> str:
    """The password, empty where none is needed. Raises Unavailable when it was sealed with another key."""
    try:
        return _SEALER.open(pc.vnc_secret)
    except CannotOpen:
        raise Unavailable(
            N_("The VNC password of %(name)s cannot be read any more: the secret key of Berth was changed."),
            fix=N_("Set it again."), rule="physical.secret", name=pc.name,
        ) from None  # fmt: skip
