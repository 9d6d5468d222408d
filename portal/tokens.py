"""Make and revoke API tokens. The token itself is returned once and never stored."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from django.db import models, transaction
from django.dispatch import receiver

from broker.access.actor import Actor
from broker.access.require import require, require_account, within
from broker.access.scope import ACCOUNT
from broker.connections.models import Guest
from broker.core import clock
from broker.core.errors import Denied, OverQuota
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.directories.rules import checked_text
from broker.directories.signals import password_set
from broker.events.record import record
from portal.models import ApiToken
from portal.token_rules import checked_networks, checked_scope, no_wider

MOST = 50


@transaction.atomic
def create_token(
    *,
    actor: Actor,
    name: str,
    days: int,
    read_only: bool = False,
    verbs: Iterable[str] | None = None,
    objects: Sequence[models.Model] = (),
    networks: Iterable[str] = (),
) -> tuple[ApiToken, str]:
    """A token of the actor's own for `days` days: (row, the secret to show once).

    `read_only`, `verbs` (patterns, None for all) and `objects` narrow what it may do of what the actor may at the time
    of each call; `networks` (CIDR) from where. Who acts by a narrowed token makes none that is wider or lasts longer.
    Raises Denied when nobody is signed in or the new token would be wider, Invalid, OverQuota beyond 50 tokens.
    """
    if actor.user is None:
        raise Denied(N_("Tokens belong to users."), rule="access.user", fix=N_("Sign in first."))
    if Guest.objects.filter(user=actor.user).exists():
        raise Denied(
            N_("Tokens are for people with an account."), rule="access.user", fix=N_("Ask for an account of your own.")
        )
    require_account(actor)
    name = checked_text(name, "name", 64)
    scope = checked_scope(actor, read_only=read_only, verbs=verbs, objects=objects)
    nets = checked_networks(networks)
    ends = clock.now() + timedelta(days=days)
    no_wider(actor, scope, objects, nets, ends)
    if ApiToken.objects.filter(user=actor.user).count() >= MOST:
        raise OverQuota(
            N_("You have %(most)s tokens already."),
            rule="token.most",
            fix=N_("Revoke those you no longer use."),
            most=MOST,
        )
    token, secret = ApiToken.objects.create(
        user=actor.user, expiry=timedelta(days=days), name=name, scope=scope.as_dict() if scope else None, networks=nets
    )
    record(
        "token.created", actor=actor, subject=actor.user, name=name, days=days, scope=token.scope or "",
        networks=", ".join(nets),
        message=N_("API token %(name)s was made, for %(days)s days, with fewer rights than its person")
        if scope
        else N_("API token %(name)s was made, for %(days)s days"),
    )  # fmt: skip
    return token, secret


@transaction.atomic
def revoke_token(*, actor: Actor, token: ApiToken) -> None:
    """The token stops working at once. One's own, or anybody's for who manages users; else raises Missing or Denied."""
    if token.user_id != actor.user_id or not within(actor, ACCOUNT):
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
