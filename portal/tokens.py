"""Make and revoke API tokens. The token itself is returned once and never stored."""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.dispatch import receiver

from broker.access.actor import Actor
from broker.access.require import require
from broker.connections.models import Guest
from broker.core.errors import Denied, OverQuota
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.directories.rules import checked_text
from broker.directories.signals import password_set
from broker.events.record import record
from portal.models import ApiToken

MOST = 50


@transaction.atomic
def create_token(*, actor: Actor, name: str, days: int) -> tuple[ApiToken, str]:
    """A token of the actor's own for `days` days: (row, the secret to show once).

    Raises Denied when nobody is signed in, Invalid for the name, OverQuota beyond 50 tokens.
    """
    if actor.user is None:
        raise Denied(N_("Tokens belong to users."), rule="access.user", fix=N_("Sign in first."))
    if Guest.objects.filter(user=actor.user).exists():
        raise Denied(
            N_("Tokens are for people with an account."), rule="access.user", fix=N_("Ask for an account of your own.")
        )
    name = checked_text(name, "name", 64)
    if ApiToken.objects.filter(user=actor.user).count() >= MOST:
        raise OverQuota(
            N_("You have %(most)s tokens already."),
            rule="token.most",
            fix=N_("Revoke those you no longer use."),
            most=MOST,
        )
    token, secret = ApiToken.objects.create(user=actor.user, expiry=timedelta(days=days), name=name)
    record(
        "token.created", actor=actor, subject=actor.user, message=N_("API token %(name)s was made, for %(days)s days"),
        name=name, days=days,
    )  # fmt: skip
    return token, secret


@transaction.atomic
def revoke_token(*, actor: Actor, token: ApiToken) -> None:
    """The token stops working at once. One's own, or anybody's for who manages users; else raises Missing or Denied."""
    if token.user_id != actor.user_id:
        require(actor, "user.manage", token.user)
    record(
        "token.revoked", actor=actor, subject=token.user, message=N_("API token %(name)s of %(user)s was revoked"),
        name=token.name, user=token.user,
    )  # fmt: skip
    token.delete()


@receiver(password_set, sender=User)
def end_tokens(*, user: User, actor: Actor, **signal: Any) -> None:
    """A new password ends the user's tokens with it: whoever knew the old one may have made some."""
    count, _ = ApiToken.objects.filter(user=user).delete()
    if count:
        record(
            "token.revoked", actor=actor, subject=user,
            message=N_("The new password of %(user)s revoked API tokens: %(count)s"), user=user, count=count,
        )  # fmt: skip
