"""A further channel of a SPICE session, for a gateway that does not carry its main channel.

A client's connections may come to several gateways. The ticket was used up where the main channel came; for some
seconds what it opened may be joined elsewhere too, by whoever shows the same ticket and the same sign-in.
"""

from django.db.models import DateTimeField, ExpressionWrapper, Value
from django.db.models.functions import Now
from django.utils.crypto import constant_time_compare

from broker.connections.endpoints import Endpoint, through_gateway
from broker.connections.models import ConsoleTicket, Session
from broker.connections.rules import CHANNELS_WITHIN, NATIVE
from broker.connections.secrets import fingerprint


def session_to_join(
    *, secret: str, web_session: str, address: str | None, via: str, machine: str
) -> tuple[Session, Endpoint] | None:
    """The running session that this ticket opened, and where to dial; None: there is nothing to join. Writes nothing.

    Whether its user still has the right is asked where it is carried, every few seconds.
    """
    recent = ExpressionWrapper(Now() - Value(CHANNELS_WITHIN), output_field=DateTimeField())
    used = ConsoleTicket.objects.filter(secret_hash=fingerprint(secret), kind="spice", via=via, used_at__gt=recent)
    ticket = used.first()
    if ticket is None or machine not in ("", str(ticket.vm_id)) or (ticket.address and ticket.address != address):
        return None
    if via != NATIVE and not constant_time_compare(ticket.web_session, fingerprint(web_session)):
        return None
    opened = Session.objects.live().filter(
        user=ticket.user_id,
        vm=ticket.vm_id,
        kind="spice",
        via=via,
        view_only=ticket.view_only,
        web_session=ticket.web_session,
        boot_id=ticket.boot_id,
        opened_at__gte=ticket.used_at,
        close_reason="",
    )
    session = opened.select_related("vm__host").order_by("opened_at").first()
    endpoint = through_gateway(session.vm, "spice") if session else None
    return (session, endpoint) if session and endpoint else None
