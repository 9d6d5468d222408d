"""Write down that a session is over."""

from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from broker.access.actor import Actor
from broker.access.require import require
from broker.connections.models import Session
from broker.connections.states import SESSION
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record


def close_session(*, actor: Actor, session: UUID, reason: str, bytes_up: int = 0, bytes_down: int = 0) -> bool:
    """Close it with the reason; returns whether this call did (False: it was over already, or never was).

    For gateways and duties; people use end_session. Raises Denied for anybody without "system.manage". A reason that
    was given when the session was told to end counts more than what the gateway then saw.
    """
    require(actor, "system.manage")
    with transaction.atomic():
        rows = Session.objects.filter(pk=session)
        told = rows.exclude(close_reason="").values_list("close_reason", flat=True).first()
        closed = SESSION.attempt(
            rows, "close", closed_at=Now(), close_reason=told or reason, bytes_up=bytes_up, bytes_down=bytes_down
        )
        if not closed:
            return False
        row = rows.select_related("user", "vm").get()
        record(
            "session.closed",
            actor=actor,
            subject=row.vm,
            message=N_("The console of %(vm)s that %(user)s had open was closed: %(reason)s."),
            user=row.user,
            vm=row.vm,
            session=row.pk,
            reason=row.close_reason,
        )
        publish("session", row.pk, "closed")
        publish("vm", row.vm_id, "console")
    return True
