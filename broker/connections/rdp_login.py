"""Who signs in at a desktop's remote desktop, from the page to the gateway.

The password lies sealed in the ticket's row for the seconds until the ticket is used, and is taken out with it.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from broker.core.errors import Invalid
from broker.core.sealing import CannotOpen, Sealer
from broker.core.text import gettext_noop as N_

_SEALER = Sealer("remote desktop sign-in")
_LONGEST = 256
_WIDTHS, _HEIGHTS = (640, 3840), (480, 2160)


@dataclass(frozen=True, slots=True)
class RdpLogin:
    """`username` as the desktop knows it, with `DOMAIN\\` or `@domain` where it has one; the size is in pixels."""

    username: str
    password: str = field(repr=False)
    width: int = 1280
    height: int = 800

    @classmethod
    def of(cls, given: Any) -> "RdpLogin":
        """From what the page or the API sends. Raises Invalid."""
        if not isinstance(given, dict):
            raise _wrong("login")
        for name in ("username", "password"):
            text = given.get(name)
            if not isinstance(text, str) or not 0 < len(text) <= _LONGEST or not text.isprintable():
                raise _wrong(name)
        return cls(
            given["username"],
            given["password"],
            _within(given.get("width", 1280), _WIDTHS),
            _within(given.get("height", 800), _HEIGHTS),
        )

    @property
    def user_and_domain(self) -> tuple[str, str]:
        domain, mark, user = self.username.partition("\\")
        return (user, domain) if mark else (self.username, "")


def seal(login: RdpLogin) -> str:
    return _SEALER.seal(json.dumps(asdict(login)))


def unseal(token: str) -> RdpLogin | None:
    """None when it cannot be read any more."""
    try:
        return RdpLogin(**json.loads(_SEALER.open(token)))
    except (CannotOpen, ValueError):
        return None


def _within(value: Any, bounds: tuple[int, int]) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong("size")
    # FreeRDP wants an even width
    return min(max(value, bounds[0]), bounds[1]) // 2 * 2


def _wrong(name: str) -> Invalid:
    return Invalid(
        N_("To sign in at the remote desktop a user name and a password are needed, on one line each."),
        field=name, fix=N_("Type both, at most 256 characters each."),
    )  # fmt: skip
