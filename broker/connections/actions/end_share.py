"""End a shared link: it opens nothing any more, and closes for those who came by it."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require, within
from broker.access.scope import OWN_MANAGE
from broker.connections.models import Session, Share
from broker.connections.states import SESSION, EndReason
from broker.core import clock
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record


def end_share(*, actor: Actor, share: Share) -> Share:
    """Who made it may, others need "vm.edit". Raises Missing, Denied; Conflict when it was ended before."""
    if actor.user is None or share.owner_id != actor.user_id or not within(actor, OWN_MANAGE):
        require(actor, "vm.edit", share.vm)
    with transaction.atomic():
        if not Share.objects.filter(pk=share.pk, ended_at__isnull=True).update(ended_at=clock.now()):
            raise Conflict(
                N_("This link was ended before."), rule="console.share", fix=N_("There is nothing left to do.")
            )
        share.refresh_from_db()
        rows = Session.objects.filter(share=share)
        SESSION.attempt(rows, "end", close_reason=EndReason.CONSENT_ENDED)
        record(
            "session.share-ended",
            actor=actor,
            subject=share.vm,
            message=N_("%(by)s ended a link of %(user)s to the screen of %(vm)s."),
            by=actor.name,
            user=share.owner,
            vm=share.vm,
        )
        for pk in rows.live().values_list("pk", flat=True):
            publish("session", pk, "ending")
        publish("vm", share.vm_id, "console")
    return share
