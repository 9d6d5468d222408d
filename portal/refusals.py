"""One audit event for each refused attempt of a signed-in user to change something, whatever the door."""

import logging
from datetime import timedelta
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest

from broker.access.actor import Actor
from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.events.models import Event, Severity
from broker.events.record import record

log = logging.getLogger(__name__)
READING = frozenset({"GET", "HEAD", "OPTIONS"})


def note_refusal(
    request: HttpRequest,
    actor: Actor,
    *,
    kind: str,
    status: int,
    code: str,
    cause: str,
    explanation: dict[str, Any] | None = None,
    once_in: timedelta | None = None,
) -> None:
    """Record the refusal. The body of the call is not written down: it may hold secrets.

    `once_in`: not again when it was told within this time, for what a page tries again by itself.

    Call it outside of the refused action's transaction, or the event goes with it.
    """
    if request.method in READING or actor.user is None or not 400 <= status < 500:
        return
    path = request.path[:200]
    told = Event.objects.filter(kind=kind, actor_id=actor.user_id, params__path=path, params__code=code)
    if once_in and told.filter(at__gt=clock.now() - once_in).exists():
        return
    try:
        record(
            kind,
            actor=actor,
            severity=Severity.WARNING,
            message=N_("%(method)s %(path)s was refused (%(status)s %(code)s): %(cause)s"),
            method=request.method,
            path=path,
            status=status,
            code=code,
            cause=cause[:300],
            explanation=explanation,
        )
    except DatabaseError:
        log.exception("A refusal could not be recorded: %s %s", request.method, request.path)
