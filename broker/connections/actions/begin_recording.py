"""Begin the recording of a session: the gateway's question when a console opens that is to be recorded."""

from django.db import transaction
from django.db.models import Sum

from broker.access.actor import Actor
from broker.access.require import require
from broker.connections.models import Recording, Session
from broker.connections.recording.files import new_key
from broker.core.text import gettext_noop as N_
from broker.events.models import Severity
from broker.events.record import record
from broker.settings import env


def begin_recording(*, actor: Actor, session: Session) -> tuple[Recording, bytes] | None:
    """Returns the recording and its key; None, with an event, when recordings take all the room they may."""
    require(actor, "system.manage")
    with transaction.atomic():
        taken = Recording.objects.aggregate(taken=Sum("size_bytes"))["taken"] or 0
        if taken >= env.recordings_gib << 30:
            record(
                "recording.refused",
                actor=actor,
                subject=session.vm,
                severity=Severity.WARNING,
                message=N_("The console of %(vm)s is not recorded: recordings take all the room they may."),
                vm=session.vm,
            )
            return None
        key, sealed = new_key()
        made = Recording.objects.create(
            session=session.pk,
            user=session.user,
            user_name=str(session.user)[:255],
            vm=session.vm,
            vm_name=session.vm.name,
            kind=Recording.Kind(session.kind),
            key=sealed,
        )
        record(
            "recording.began",
            actor=actor,
            subject=session.vm,
            message=N_("The console of %(user)s at %(vm)s is being recorded."),
            user=session.user,
            vm=session.vm,
            recording=made.pk,
        )
    return made, key
