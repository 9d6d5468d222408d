"""Tell the person at a machine's screen something."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.connections.models import Message, Session
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names

LONGEST = 500


def send_message(*, actor: Actor, session: Session, text: str) -> Message:
    """Show `text` (up to 500 characters) in the person's console page until it is read. Returns the message.

    Raises Missing or Denied without "vm.edit" there; Invalid for a text that is empty or too long; Conflict when the
    session is over.
    """
    require(actor, "vm.edit", session.vm)
    text = names.title(text, field="text", longest=LONGEST)
    if not text:
        raise Invalid(N_("The message is empty."), field="text", fix=N_("Write something."))
    if not Session.objects.live().filter(pk=session.pk).exists():
        raise Conflict(
            N_("Nobody is at this screen any more."), rule="console.somebody-there", fix=N_("Write to them elsewhere.")
        )
    with transaction.atomic():
        message = Message.objects.create(vm=session.vm, user=session.user, by=actor.name[:255], text=text)
        record(
            "session.message",
            actor=actor,
            subject=session.vm,
            message=N_("%(by)s wrote to %(user)s at %(vm)s: %(text)s"),
            by=actor.name,
            user=session.user,
            vm=session.vm,
            text=text,
        )
        publish("vm", session.vm_id, "console")
        publish("message", message.pk, "sent")
    return message
