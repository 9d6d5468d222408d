"""What an API token may do of all that its person may: some rights, on some objects, or only reading.

A scope takes away and gives nothing: a call with the token is allowed when the person may do it at that moment and the
scope includes it. `require.py` asks it wherever it asks for a right; what needs no right, because it is one's own, asks
for one of OWN by `within`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from broker.core.text import gettext_noop as N_

from .roles import covers

READ = "*.view"
OWN_VIEW, OWN_MANAGE, ACCOUNT = "own.view", "own.manage", "account.manage"
# Nobody is given these, and everybody has them: what one may do because it is one's own.
OWN: dict[str, str] = {
    OWN_VIEW: N_("See one's own sessions, shares, messages, searches, subscriptions and tokens"),
    OWN_MANAGE: N_("End one's own sessions, and change one's own shares, searches and subscriptions"),
    ACCOUNT: N_("Change one's own password, and make and revoke API tokens"),
}


@dataclass(frozen=True)
class Scope:
    """`verbs`: patterns as in roles, None for all rights. `objects`: (kind, id), with all that belongs to them; none
    for everywhere. With objects, nothing that is about no object or about the whole system is included."""

    read_only: bool = False
    verbs: tuple[str, ...] | None = None
    objects: frozenset[tuple[str, UUID]] = frozenset()

    def covers(self, verb: str) -> bool:
        """Whether the right is included, or a pattern such as "vm.*" as a whole; on whatever object."""
        if self.read_only and not covers([READ], verb):
            return False
        return self.verbs is None or covers(list(self.verbs), verb)

    def as_dict(self) -> dict[str, Any]:
        """As it is kept; `of` reads it."""
        return {
            "read_only": self.read_only,
            "verbs": None if self.verbs is None else list(self.verbs),
            "objects": sorted([kind, str(pk)] for kind, pk in self.objects),
        }

    @classmethod
    def of(cls, kept: Mapping[str, Any] | None) -> "Scope | None":
        """The scope that was kept; None for None, which is a token with all rights of its person."""
        if kept is None:
            return None
        verbs = kept["verbs"]
        objects = frozenset((kind, UUID(pk)) for kind, pk in kept["objects"])
        return cls(bool(kept["read_only"]), None if verbs is None else tuple(verbs), objects)


@dataclass(frozen=True)
class Token:
    """An API token that somebody acts by. `networks`: from where alone it is good, as CIDR. `ends`: until when."""

    name: str
    scope: Scope | None = None
    networks: tuple[str, ...] = ()
    ends: datetime | None = None
