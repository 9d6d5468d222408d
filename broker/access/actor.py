"""Who acts: a signed-in user from some address, or a part of Berth itself."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from django.http import HttpRequest

    from broker.directories.models import User


@dataclass(frozen=True)
class Held:
    """One grant as the check needs it."""

    verbs: tuple[str, ...]
    object_kind: str
    object_id: UUID | None


@dataclass(frozen=True)
class Actor:
    """Passed as the first argument of every action. Its grants are read once, on the first question."""

    user: "User | None"
    name: str
    address: str | None = None
    correlation: str = ""
    is_system: bool = False
    session_key: str = ""
    _cache: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, request: "HttpRequest") -> "Actor":
        """The actor behind a request; nobody when not signed in."""
        user: Any = request.user if request.user.is_authenticated else None
        session = getattr(request, "session", None)
        return cls(
            user=user,
            name=user.username if user else "anonymous",
            address=request.META.get("REMOTE_ADDR") or None,
            correlation=getattr(request, "correlation", ""),
            session_key=(session.session_key or "") if session is not None else "",
        )

    @classmethod
    def for_user(cls, user: "User", *, address: str | None = None) -> "Actor":
        return cls(user=user, name=user.username, address=address)

    @classmethod
    def system(cls, name: str, *, correlation: str = "") -> "Actor":
        """A duty or a job acting for Berth itself: may do everything, and is named in the events."""
        return cls(user=None, name=name, is_system=True, correlation=correlation)

    @property
    def user_id(self) -> UUID | None:
        return self.user.pk if self.user else None

    def grants(self) -> tuple[Held, ...]:
        """What was granted to the user and the user's groups: one query, then remembered."""
        if "grants" not in self._cache:
            self._cache["grants"] = _read_grants(self.user) if self.user and self.user.is_active else ()
        grants: tuple[Held, ...] = self._cache["grants"]
        return grants


def _read_grants(user: "User") -> tuple[Held, ...]:
    from django.db.models import Q

    from .models import Grant

    rows = Grant.objects.filter(Q(user=user) | Q(group__members=user)).values_list(
        "role__verbs", "object_kind", "object_id"
    )
    return tuple(Held(tuple(verbs), kind, object_id) for verbs, kind, object_id in rows)
