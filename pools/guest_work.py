"""What workers do inside guests for the session rules, and with messages to the people there."""

import logging
import time
from uuid import UUID

from broker.connections.models import Message
from broker.core.errors import BerthError
from broker.virt import guest_orders
from broker.virt.models import VirtualMachine

from .models import Sitting
from .session_duty import note_outcome

log = logging.getLogger(__name__)


def carry_out(desktop_id: UUID, step: str) -> None:
    """Give the guest the order of this step, unless that was done, and write down how it went."""
    sitting = Sitting.objects.filter(pk=desktop_id).first()
    act = sitting.acts.get(step) if sitting else None
    if not act or "order" not in act or "outcome" in act or "trouble" in act:
        return
    vm = VirtualMachine.objects.select_related("host").get(pk=desktop_id)
    try:
        guest_orders.give(vm, act["order"], sleep=time.sleep)
    except BerthError as error:
        note_outcome(desktop_id, step, error)
        return
    note_outcome(desktop_id, step, None)


def tell(message_id: UUID) -> None:
    """Show the message on the terminals of the guest. That it cannot be is no matter: the page shows it."""
    message = Message.objects.select_related("vm__host").filter(pk=message_id, read_at__isnull=True).first()
    if message is None or not message.vm.guest.get("agent"):
        return
    try:
        guest_orders.give(message.vm, "tell", f"{message.by}: {message.text}", sleep=time.sleep)
    except BerthError as error:
        log.info("A message could not be shown in the guest of %s: %s", message.vm, error)
