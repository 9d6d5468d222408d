"""End that somebody sees another's screen, or take the question back."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require, within
from broker.access.scope import OWN_MANAGE
from broker.connections.models import Help, Session
from broker.connections.states import HELP, SESSION, EndReason
from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record


def end_help(*, actor: Actor, help: Help) -> Help:
    """Both the person asked and the helper may, at any time; others need "vm.edit". The screen closes for the helper.

    Raises Missing, Denied; Conflict when it is over already.
    """
    if actor.user is None or actor.user_id not in (help.asked_of_id, help.helper_id) or not within(actor, OWN_MANAGE):
        require(actor, "vm.edit", help.vm)
    with transaction.atomic():
        HELP.move(help, "end", ended_at=clock.now())
        rows = Session.objects.filter(help=help)
        SESSION.attempt(rows, "end", close_reason=EndReason.CONSENT_ENDED)
        record(
            "session.help-ended",
            actor=actor,
            subject=help.vm,
            message=N_("%(by)s ended that %(helper)s sees the screen of %(vm)s that %(user)s has."),
            by=actor.name,
            helper=help.helper,
            user=help.asked_of,
            vm=help.vm,
        )
        for pk in rows.live().values_list("pk", flat=True):
            publish("session", pk, "ending")
        publish("vm", help.vm_id, "console")
    return help
