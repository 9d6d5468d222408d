"""Say that a message was read: it is shown no more."""

from broker.access.actor import Actor
from broker.access.require import require, within
from broker.access.scope import OWN_MANAGE
from broker.connections.models import Message
from broker.core import clock


def read_message(*, actor: Actor, message: Message) -> Message:
    """For whom it was written to; others need "vm.edit". Reading twice is once. Raises Missing, Denied."""
    if actor.user is None or message.user_id != actor.user_id or not within(actor, OWN_MANAGE):
        require(actor, "vm.edit", message.vm)
    Message.objects.filter(pk=message.pk, read_at__isnull=True).update(read_at=clock.now())
    message.refresh_from_db()
    return message
