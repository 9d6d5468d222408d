"""Duty: end the sessions nobody carries any more, the consents nobody stands behind, and forget what is used up."""

from django.db.models import DateTimeField, Exists, ExpressionWrapper, OuterRef, Q, Value
from django.db.models.functions import Now

from broker.access.actor import Actor
from broker.core import clock
from broker.directories.models import User
from broker.events.news import publish

from .actions.close_session import close_session
from .models import ConsoleTicket, Guest, Help, Message, Session
from .policy import policies_of
from .rules import GATEWAY_SILENT, GUESTS_KEPT, HELP_ANSWER, MESSAGES_KEPT, USED_TICKETS_KEPT
from .states import HELP, EndReason, HelpState
from .viewer import VIA, settle_viewers

BATCH = 500


def _ago(span: object) -> ExpressionWrapper:
    return ExpressionWrapper(Now() - Value(span), output_field=DateTimeField())


def tidy() -> int:
    """Close sessions whose gateway was silent too long, purge tickets; returns how many sessions were closed.

    Times are the database's own. A gateway that was only frozen finds its sessions closed and ends the consoles.
    """
    actor = Actor.system("connections.tidy")
    carried = Session.objects.live().exclude(via=VIA)
    silent = carried.filter(last_seen_at__lt=_ago(GATEWAY_SILENT)).values_list("pk", flat=True)[:BATCH]
    closed = settle_viewers(actor) + sum(
        close_session(actor=actor, session=pk, reason=EndReason.GONE) for pk in list(silent)
    )
    _settle_helps()
    _settle_guests()
    Message.objects.filter(sent_at__lt=_ago(MESSAGES_KEPT)).delete()
    ConsoleTicket.objects.filter(
        Q(used_at__isnull=True, expires_at__lt=Now()) | Q(used_at__lt=_ago(USED_TICKETS_KEPT))
    ).delete()
    return closed


def _settle_helps() -> None:
    """Let questions lapse that nobody answered, and end what was allowed by somebody who has left."""
    now = clock.now()
    present = Session.objects.live().own().filter(vm=OuterRef("vm"), user=OuterRef("asked_of"))
    asked = Help.objects.filter(state=HelpState.ASKED, asked_at__lt=now - HELP_ANSWER)
    # A reload or a dropped line is not leaving: the person may be back in a moment.
    left = Help.objects.filter(~Exists(present), state=HelpState.ALLOWED, answered_at__lt=now - HELP_ANSWER)
    for rows, event in ((asked, "lapse"), (left, "end")):
        for pk, vm in list(rows.values_list("pk", "vm_id")[:BATCH]):
            if HELP.attempt(Help.objects.filter(pk=pk), event, ended_at=now):
                publish("vm", vm, "console")


def _settle_guests() -> None:
    """Who came without an account goes with the link, or when the policy has it so no more; later the row goes, too."""
    came = Guest.objects.filter(user__is_active=True).select_related("share__vm", "user")
    shares = {guest.share_id: guest.share for guest in came if guest.share is not None}
    policies = policies_of([share.vm for share in shares.values()])
    good = {
        pk
        for pk, share in shares.items()
        if share.ended_at is None and share.expires_at > clock.now() and policies[share.vm_id].guests
    }
    for guest in came:
        if guest.share_id not in good and User.objects.filter(pk=guest.pk, is_active=True).update(is_active=False):
            publish("user", guest.pk, "disabled")
    User.objects.filter(guest__since__lt=_ago(GUESTS_KEPT), is_active=False).delete()
