"""Write down that a recording ended, and why; the console may go on."""

from uuid import UUID

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.connections.models import Recording
from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.events.models import Severity
from broker.events.record import record


@transaction.atomic
def end_recording(*, actor: Actor, recording: UUID, why: str, size: int) -> bool:
    """Returns whether it had been going on. What is not a normal end is a warning."""
    require(actor, "system.manage")
    going_on = Recording.objects.filter(pk=recording, ended_at__isnull=True)
    if not going_on.update(ended_at=clock.now(), why=Recording.Why(why), size_bytes=size):
        return False
    row = Recording.objects.select_related("vm").get(pk=recording)
    record(
        "recording.ended",
        actor=actor,
        subject=row.vm,
        severity=Severity.INFO if why == Recording.Why.FINISHED else Severity.WARNING,
        message=N_("The recording of %(user)s at %(vm)s ended (%(why)s)."),
        user=row.user_name,
        vm=row.vm_name,
        why=why,
        recording=row.pk,
    )
    return True
