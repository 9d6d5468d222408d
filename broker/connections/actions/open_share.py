"""Follow a shared link: from now on the screen may be opened with one's own sign-in."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import may, require_within
from broker.connections.models import Guest, Share
from broker.connections.secrets import fingerprint
from broker.core.errors import Denied, Missing
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record


def open_share(*, actor: Actor, secret: str) -> Share:
    """Bind the link to the actor; returns it. Raises Missing for a link that opens nothing: a wrong one, one that

    was ended and one whose time is over are told alike, and so is another than their own to who came by a link without
    an account. Raises Denied without a person.
    """
    if actor.user is None or not actor.user.is_active:
        raise Denied(N_("A shared screen needs a sign-in."), rule="console.sign-in", fix=N_("Sign in, then open it."))
    require_within(actor)
    rows = Share.objects.good().select_related("owner", "vm")
    share = rows.filter(secret_hash=fingerprint(secret)).first() if isinstance(secret, str) else None
    guest = Guest.objects.filter(user=actor.user).first()
    others = guest is not None and share is not None and guest.share_id != share.pk
    if share is None or others or not may(Actor.for_user(share.owner), "vm.use", share.vm):
        raise Missing(
            N_("This link opens nothing (any more)."), rule="console.share",
            fix=N_("Ask who gave it to you for a new one."),
        )  # fmt: skip
    with transaction.atomic():
        if share.owner_id != actor.user_id and not share.guests.filter(pk=actor.user_id).exists():
            share.guests.add(actor.user)
            record(
                "session.share-opened",
                actor=actor,
                subject=share.vm,
                message=N_("%(user)s followed the link of %(owner)s to the screen of %(vm)s (%(level)s)."),
                user=actor.name,
                owner=share.owner,
                vm=share.vm,
                level=share.level,
            )
            publish("vm", share.vm_id, "console")
    return share
