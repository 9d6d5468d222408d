"""Have the chain of events verified now."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.checking import the_check
from broker.events.models import ChainCheck
from broker.events.record import record


@transaction.atomic
def verify_events(*, actor: Actor) -> ChainCheck:
    """The duty begins within a minute, unless a pass is under way; what it found is kept. Raises Denied."""
    require(actor, "system.manage")
    row = the_check()
    if not (row.asked or row.under_way):
        ChainCheck.objects.filter(pk=row.pk).update(asked=True)
        record("events.verify", actor=actor, message=N_("The chain of events is to be verified"))
        row.asked = True
    return row
