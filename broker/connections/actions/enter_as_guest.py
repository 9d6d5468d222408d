"""Follow a shared link without an account: a user row is made that is good for this screen and this time alone."""

import secrets
import unicodedata

from django.contrib.auth.hashers import make_password
from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import may
from broker.connections.models import Guest, Share
from broker.connections.policy import policy_of
from broker.connections.rules import GUESTS_PER_SHARE
from broker.connections.secrets import fingerprint
from broker.core.errors import Conflict, Invalid, Missing, OverQuota
from broker.core.text import gettext_noop as N_
from broker.directories.models import Directory, User
from broker.events.news import publish
from broker.events.record import record

KIND, LAST = "guest", 32767
LONGEST = 40


def enter_as_guest(*, actor: Actor, secret: str, name: str) -> Guest:
    """Make the guest; who calls signs them in. `actor` is nobody yet.

    Raises Missing for a link that opens nothing, for people without an account neither; Invalid for a name that says
    nothing; OverQuota when too many came by it; Conflict for somebody who is signed in already.
    """
    if actor.user is not None:
        raise Conflict(
            N_("You are signed in."), rule="console.sign-in", fix=N_("Follow the link as the person you are.")
        )
    wrong = Missing(
        N_("This link opens nothing (any more), or only for people who sign in."), rule="console.share",
        fix=N_("Sign in if you can, or ask who gave it to you for another one."),
    )  # fmt: skip
    with transaction.atomic():
        rows = Share.objects.good().select_related("owner", "vm").select_for_update(of=("self",))
        share = rows.filter(secret_hash=fingerprint(secret), everybody=True).first()
        if share is None or not may(Actor.for_user(share.owner), "vm.use", share.vm) or not policy_of(share.vm).guests:
            raise wrong
        called = _checked(name)
        if share.strangers.count() >= GUESTS_PER_SHARE:
            raise OverQuota(
                N_("As many people as may came by this link already."), rule="console.most-guests",
                fix=N_("Ask who gave it to you for another one."),
            )  # fmt: skip
        user = User.objects.create(
            directory=_directory(), username=f"{called}~{secrets.token_hex(4)}", display_name=called,
            password=make_password(None),
        )  # fmt: skip
        guest = Guest.objects.create(user=user, share=share, name=called)
        share.guests.add(user)
        record(
            "session.guest-came",
            actor=Actor(user=user, name=user.username, address=actor.address, correlation=actor.correlation),
            subject=share.vm,
            message=N_("%(user)s, who has no account, followed the link of %(owner)s to %(vm)s (%(level)s)."),
            user=user,
            owner=share.owner,
            vm=share.vm,
            level=share.level,
        )
        publish("vm", share.vm_id, "console")
    return guest


def _checked(name: object) -> str:
    """The name without what hides or pretends: letters, digits and a few marks. A ~ no account's name can have."""
    text = unicodedata.normalize("NFKC", name).strip() if isinstance(name, str) else ""
    shown = "".join(sign for sign in text if sign.isalnum() or sign in " .'-")
    shown = " ".join(shown.split())[:LONGEST].strip()
    if not any(sign.isalnum() for sign in shown):
        raise Invalid(N_("A name is needed."), field="name", fix=N_("Say who you are: who shares the screen sees it."))
    return shown


def _directory() -> Directory:
    """Where guests are; nobody is asked there at the sign-in, so it is switched off."""
    found = Directory.objects.filter(kind=KIND).first()
    if found is None:
        taken = Directory.objects.filter(name="Guests").exists()
        found = Directory.objects.create(
            name="Guests of links" if taken else "Guests", kind=KIND, enabled=False, order=LAST
        )
    return found
