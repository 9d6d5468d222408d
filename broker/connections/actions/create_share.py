"""Make a link with which another signed-in person may open one's screen."""

from dataclasses import dataclass, field
from datetime import timedelta

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require, require_within
from broker.connections.consent import require_own_screen
from broker.connections.models import Share
from broker.connections.policy import policy_of
from broker.connections.rules import SHARE_MOST, SHARES_PER_VM
from broker.connections.secrets import fingerprint, new_secret
from broker.core import clock
from broker.core.errors import Conflict, Denied, Invalid, OverQuota
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt.models import VirtualMachine


@dataclass(frozen=True, slots=True)
class CreatedShare:
    """`secret` is told once and stored nowhere; it goes behind the # of a link, which browsers send to no server."""

    share: Share
    secret: str = field(repr=False)


def create_share(
    *,
    actor: Actor,
    vm: VirtualMachine,
    level: str = Share.Level.VIEW,
    minutes: int = 60,
    everybody: bool = False,
) -> CreatedShare:
    """Share one's own screen for `minutes`, with `everybody` also with people who have no account.

    Raises Missing or Denied without "vm.use" or at another's screen; Invalid for an unknown level or a time that is too
    long; Conflict for people without an account where the policy does not have it; OverQuota with too many links.
    """
    require(actor, "vm.use", vm)
    require_within(actor)
    if actor.user is None:
        raise Denied(N_("Only people share a screen."), rule="console.sign-in", fix=N_("Sign in as yourself."))
    require_own_screen(actor, vm)
    if level not in Share.Level.values:
        raise Invalid(N_("There is no such kind of share."), field="level", fix=N_("Use view or control."))
    most = int(SHARE_MOST.total_seconds() // 60)
    if isinstance(minutes, bool) or not isinstance(minutes, int) or not 1 <= minutes <= most:
        raise Invalid(
            N_("A link is good for 1 to %(most)s minutes."), field="minutes", fix=N_("Choose such a time."), most=most
        )
    if everybody and not policy_of(vm).guests:
        raise Conflict(
            N_("Links to %(name)s are only for people who sign in."),
            rule="console.guests",
            about=vm,
            fix=N_("Make one for them, or ask whoever manages it to allow people without an account."),
            name=vm.name,
        )
    if Share.objects.good().filter(vm=vm).count() >= SHARES_PER_VM:
        raise OverQuota(
            N_("There are %(most)s links to this screen already."),
            rule="console.most-shares",
            about=vm,
            fix=N_("End one of them."),
            most=SHARES_PER_VM,
        )
    secret = new_secret()
    with transaction.atomic():
        share = Share.objects.create(
            secret_hash=fingerprint(secret),
            vm=vm,
            owner=actor.user,
            level=level,
            everybody=bool(everybody),
            expires_at=clock.now() + timedelta(minutes=minutes),
        )
        record(
            "session.shared",
            actor=actor,
            subject=vm,
            message=N_("%(user)s made a link to the screen of %(vm)s (%(level)s), good for %(minutes)s minutes."),
            user=actor.name,
            vm=vm,
            level=level,
            minutes=minutes,
        )
        publish("vm", vm.pk, "console")
    return CreatedShare(share, secret)
