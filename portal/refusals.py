"""One audit event for each refused attempt of a signed-in user to change something, whatever the door."""

import logging
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest

from broker.access.actor import Actor
from broker.core.text import gettext_noop as N_
from broker.events.models import Severity
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
) -> None:
    """Record the refusal. The body of the call is not written down: it may hold secrets.

    Call it outside of the refused action's transaction, or the event goes with it.
    """
    if request.method in READING or actor.user is None or not 400 <= status < 500:
        return
    try:
        record(
            kind,
            actor=actor,
            severity=Severity.WARNING,
            message=N_("%(method)s %(path)s was refused (%(status)s %(code)s): %(cause)s"),
            method=request.method,
            path=request.path[:200],
            status=status,
            code=code,
            cause=cause[:300],
            explanation=explanation,
        )
    except DatabaseError:
        log.exception("A refusal could not be recorded: %s %s", request.method, request.path)
