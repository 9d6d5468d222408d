"""Allow or refuse that somebody sees one's screen."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require, require_within
from broker.connections.models import Help
from broker.connections.states import HELP
from broker.core import clock
from broker.core.errors import Denied
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record


def answer_help(*, actor: Actor, help: Help, allow: bool) -> Help:
    """Only who was asked may answer, whatever other rights somebody has. Returns the question with its answer.

    Raises Missing, Denied; Conflict when the question does not stand any more.
    """
    require(actor, "vm.use", help.vm)
    require_within(actor)
    if actor.user is None or help.asked_of_id != actor.user_id:
        raise Denied(
            N_("This question was put to somebody else."), rule="console.consent", fix=N_("Let them answer it.")
        )
    with transaction.atomic():
        HELP.move(help, "allow" if allow else "refuse", answered_at=clock.now())
        record(
            "session.help-allowed" if allow else "session.help-refused",
            actor=actor,
            subject=help.vm,
            message=N_("%(user)s let %(helper)s see the screen of %(vm)s (%(level)s).")
            if allow
            else N_("%(user)s refused to let %(helper)s see the screen of %(vm)s (%(level)s)."),
            user=actor.name,
            helper=help.helper,
            vm=help.vm,
            level=help.level,
        )
        publish("vm", help.vm_id, "console")
    return help
