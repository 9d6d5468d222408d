"""Duty: end the sessions nobody carries any more, and forget tickets that opened or can open nothing."""

from django.db.models import DateTimeField, ExpressionWrapper, Q, Value
from django.db.models.functions import Now

from broker.access.actor import Actor

from .actions.close_session import close_session
from .models import ConsoleTicket, Session
from .rules import GATEWAY_SILENT, USED_TICKETS_KEPT
from .states import EndReason

BATCH = 500


def _ago(span: object) -> ExpressionWrapper:
    return ExpressionWrapper(Now() - Value(span), output_field=DateTimeField())


def tidy() -> int:
    """Close sessions whose gateway was silent too long, purge tickets; returns how many sessions were closed.

    Times are the database's own. A gateway that was only frozen finds its sessions closed and ends the consoles.
    """
    actor = Actor.system("connections.tidy")
    silent = Session.objects.live().filter(last_seen_at__lt=_ago(GATEWAY_SILENT)).values_list("pk", flat=True)[:BATCH]
    closed = sum(close_session(actor=actor, session=pk, reason=EndReason.GONE) for pk in list(silent))
    ConsoleTicket.objects.filter(
        Q(used_at__isnull=True, expires_at__lt=Now()) | Q(used_at__lt=_ago(USED_TICKETS_KEPT))
    ).delete()
    return closed
