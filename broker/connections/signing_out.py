"""What signing out in the browser does to programs that were opened with files of that sign-in.

Consoles in the browser need no word: their gateway asks for the sign-in itself. Programs show none.
"""

from django.db import transaction
from django.db.models.functions import Now

from broker.directories.models import User
from broker.events.news import publish

from .models import ConsoleTicket, Session
from .rules import NATIVE
from .secrets import fingerprint
from .states import SESSION, EndReason


def end_native_of(user: User, session_key: str) -> int:
    """Ask for the end of what the sign-in's files opened; returns how many. Those not used open nothing any more."""
    if not session_key:
        return 0
    mine = {"user": user, "via": NATIVE, "web_session": fingerprint(session_key)}
    with transaction.atomic():
        ConsoleTicket.objects.filter(**mine, used_at__isnull=True).update(used_at=Now())
        rows = Session.objects.filter(**mine)
        ended = SESSION.attempt(rows, "end", close_reason=EndReason.SIGNED_OUT)
        if ended:
            for pk in rows.live().values_list("pk", flat=True):
                publish("session", pk, "ending")
    return ended
