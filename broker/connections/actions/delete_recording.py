"""Delete a recording and its file."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.connections.models import Recording
from broker.connections.recording.files import remove
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.record import record


def delete_recording(*, actor: Actor, recording: Recording) -> None:
    """Raises Missing, Denied without "recording.delete"; Conflict while it goes on.

    The row goes first: a file without one is removed by the duty.
    """
    require(actor, "recording.delete", recording)
    if recording.ended_at is None:
        raise Conflict(
            N_("The recording is still going on."),
            rule="recording.ended",
            fix=N_("Wait until the console is closed."),
        )
    pk = recording.pk
    with transaction.atomic():
        record(
            "recording.deleted",
            actor=actor,
            subject=recording.vm,
            message=N_("%(by)s deleted the recording of %(user)s at %(vm)s."),
            by=actor.name,
            user=recording.user_name,
            vm=recording.vm_name,
            recording=pk,
        )
        recording.delete()
        transaction.on_commit(lambda: remove(pk))
