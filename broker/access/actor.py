"""Who acts: a signed-in user from some address, or a part of Berth itself."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import Q

from broker.sql import Given, Statement

from .roles import covers

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet
    from django.http import HttpRequest

    from broker.directories.models import User

    from .scope import Scope, Token


@dataclass(frozen=True)
class Held:
    """One grant as the check needs it."""

    verbs: tuple[str, ...]
    object_kind: str
    object_id: UUID | None
    second_factor: bool = False
    """Whether the role wants its holders to sign in with a second factor."""


@dataclass(frozen=True)
class Actor:
    """Passed as the first argument of every action. Its grants are read once, on the first question.

    `asked_at`: when the request arrived that it acts in; None for parts of Berth itself. `token`: the API token that
    the user acts by, if any.
    """

    user: "User | None"
    name: str
    address: str | None = None
    correlation: str = ""
    is_system: bool = False
    session_key: str = ""
    asked_at: "datetime | None" = None
    token: "Token | None" = None
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
            asked_at=getattr(request, "began_at", None),
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

    @property
    def scope(self) -> "Scope | None":
        """What the token is narrowed to; None for all that the user may."""
        return self.token.scope if self.token else None

    def forget(self) -> None:
        """Read the grants again at the next question: they were just changed."""
        self._cache.pop("grants", None)

    def held(self, verb: str) -> "list[Held]":
        """The grants that include the right, as far as the token does; where they are and where it is, not asked."""
        if self.scope is not None and not self.scope.covers(verb):
            return []
        return [grant for grant in self.grants() if covers(list(grant.verbs), verb)]

    def without_scope(self) -> "Actor":
        """The person, whatever token they act by: for what is theirs to have, and for naming why a token may not."""
        return replace(self, token=replace(self.token, scope=None)) if self.token else self

    def grants(self) -> tuple[Held, ...]:
        """What was granted to the user and the user's groups: one query, then remembered."""
        if "grants" not in self._cache:
            self._cache["grants"] = _read_grants(self.user) if self.user and self.user.is_active else ()
        grants: tuple[Held, ...] = self._cache["grants"]
        return grants


def _read_grants(user: "User") -> tuple[Held, ...]:
    rows = _GRANTS.rows(user=user.pk)
    return tuple(Held(tuple(verbs), kind, object_id, bool(second)) for verbs, kind, object_id, second in rows)


def _grants() -> "QuerySet[Any, Any]":
    from .models import Grant

    held = Grant.objects.filter(Q(user=Given("user")) | Q(group__members=Given("user")))
    return held.values_list("role__verbs", "object_kind", "object_id", "role__second_factor")


_GRANTS = Statement(_grants)
