"""Ask the person at a machine's screen whether one may look on, or help."""

from django.db import IntegrityError, transaction

from broker.access.actor import Actor
from broker.access.require import require, require_within
from broker.connections.models import Help, Session
from broker.core.errors import Conflict, Denied, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record


def ask_help(*, actor: Actor, session: Session, level: str = Help.Level.LOOK) -> Help:
    """Put the question into the page of the session's person. Returns it; the answer comes as news of the machine.

    Raises Missing or Denied without "vm.use" there; Invalid for an unknown level; Conflict when the session is over,
    is one's own or not the person's own screen, or a question of the actor stands already.
    """
    require(actor, "vm.use", session.vm)
    require_within(actor)
    if actor.user is None:
        raise Denied(N_("Only people can be let in."), rule="console.sign-in", fix=N_("Sign in as yourself."))
    if level not in Help.Level.values:
        raise Invalid(N_("There is no such kind of help."), field="level", fix=N_("Use look or help."))
    present = Session.objects.live().own().filter(pk=session.pk).exclude(user=actor.user)
    if not present.exists():
        raise Conflict(
            N_("There is nobody to ask at this screen."),
            rule="console.somebody-there",
            fix=N_("Look at the list of sessions again; the person may have left."),
        )
    try:
        with transaction.atomic():
            help = Help.objects.create(vm=session.vm, helper=actor.user, asked_of=session.user, level=level)
            record(
                "session.help-asked",
                actor=actor,
                subject=session.vm,
                message=N_("%(by)s asked %(user)s to see the screen of %(vm)s (%(level)s)."),
                by=actor.name,
                user=session.user,
                vm=session.vm,
                level=level,
            )
            publish("vm", session.vm_id, "console")
    except IntegrityError:
        raise Conflict(
            N_("You have asked already."),
            rule="console.asked",
            fix=N_("Wait for the answer, or take the question back and ask anew."),
        ) from None
    return help
