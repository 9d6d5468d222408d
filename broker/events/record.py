"""Write an Event in the caller's transaction: it exists exactly when what it tells of exists."""

from typing import Any, Protocol

from django.db import models

from broker import sql
from broker.core import clock

from .models import BY_TOKEN, Event, Severity


class ActorLike(Protocol):
    @property
    def user_id(self) -> Any: ...
    @property
    def name(self) -> str: ...
    @property
    def address(self) -> str | None: ...
    @property
    def correlation(self) -> str: ...


def record(
    kind: str,
    *,
    actor: ActorLike,
    message: str,
    subject: models.Model | None = None,
    severity: str = Severity.INFO,
    correlation: str = "",
    explanation: dict[str, Any] | None = None,
    **params: Any,
) -> Event:
    """Add an event. `message` is an untranslated %-template over `params`; `subject` is named by its str().

    The API token that the actor acts by is named among `params`.

    `explanation`: for a refusal, the error's as_dict().
    """
    token = getattr(actor, "token", None)  # duties and jobs act by none
    event = Event(
        at=clock.now(),
        kind=kind,
        severity=severity,
        actor_id=actor.user_id,
        actor_name=actor.name[:255],
        address=actor.address,
        subject_kind=subject_kind(subject) if subject is not None else "",
        subject_id=subject.pk if subject is not None else None,
        subject_name=str(subject)[:255] if subject is not None else "",
        template=message,
        params={key: str(value) for key, value in params.items()} | ({BY_TOKEN: token.name} if token else {}),
        correlation=correlation or actor.correlation,
        explanation=explanation,
    )
    return sql.add(event)


def subject_kind(row: models.Model | type[models.Model]) -> str:
    """The word for a row's kind in events, jobs and grants, or for a model's: `access_kind`, or the model's name."""
    return getattr(row, "access_kind", row._meta.model_name or "")
