"""Tell sessions to end: one that somebody looks at, or all of a machine or user whose time is over."""

from uuid import UUID

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require, within
from broker.access.scope import OWN_MANAGE
from broker.connections.models import Session
from broker.connections.standing import withdraw
from broker.connections.states import SESSION, EndReason
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record


def end_session(*, actor: Actor, session: Session, reason: EndReason = EndReason.ENDED) -> None:
    """Ask for the end of one session; its gateway closes it within ten seconds.

    One's own may always be ended, another's with "vm.edit". Raises Missing, Denied; Conflict when it is over.
    """
    if actor.user is None or session.user_id != actor.user_id or not within(actor, OWN_MANAGE):
        require(actor, "vm.edit", session.vm)
    with transaction.atomic():
        SESSION.move(session, "end", close_reason=reason)
        record(
            "session.ending",
            actor=actor,
            subject=session.vm,
            message=N_("%(by)s ended the console of %(vm)s that %(user)s had open."),
            by=actor.name,
            user=session.user,
            vm=session.vm,
            session=session.pk,
            reason=reason,
        )
        publish("session", session.pk, "ending")


def end_sessions_of(
    *, actor: Actor, vm: UUID | None = None, user: UUID | None = None, reason: EndReason = EndReason.TAKEN_BACK
) -> int:
    """Ask for the end of every live session of a machine, of a user, or of a user at a machine; returns how many.

    For the parts of Berth that take desktops back. Raises Denied for anybody else, ValueError without a filter.
    """
    if not actor.is_system:
        require(actor, "system.manage")
    narrow = {name: value for name, value in (("vm_id", vm), ("user_id", user)) if value is not None}
    if not narrow:
        raise ValueError("a machine or a user is needed")
    with transaction.atomic():
        rows = Session.objects.filter(**narrow)
        ended = SESSION.attempt(rows, "end", close_reason=reason)
        if vm is not None and user is None:
            withdraw(vm)
        if ended:
            record(
                "session.ending",
                actor=actor,
                message=N_("%(count)s consoles were told to end: %(reason)s."),
                count=ended,
                reason=reason,
            )
            for pk in rows.live().values_list("pk", flat=True):
                publish("session", pk, "ending")
    return ended
