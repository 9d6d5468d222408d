"""Whose screen it is: nobody sees what another person does without that person's consent.

The person is the holder of the machine, or whoever sits at it while nobody holds it. Others need a Help that was
allowed, or a Share.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import CharField

from broker.access.actor import Actor
from broker.access.kinds import kind_of
from broker.core import clock
from broker.core.errors import Conflict, Denied
from broker.core.text import gettext_noop as N_
from broker.sql import Given, Statement, time
from broker.virt.models import VirtualMachine

from .models import Session
from .rules import VOUCHED

# Built once: every ticket asks both.
_HOLDER = Statement(
    lambda: VirtualMachine.objects.filter(pk=Given("vm")).order_by().values_list(kind_of(VirtualMachine).owner)
)
_ELSEWHERE = Statement(
    lambda: (
        Session.objects.live()
        .own()
        .filter(vm=Given("vm"), user=Given("user"), via="browser", last_seen_at__gt=time("since"), close_reason="")
        .exclude(web_session=Given("web_session", CharField()))
        .order_by("opened_at")
        .values_list("opened_at")[:1]
    )
)


class OpenElsewhere(Conflict):
    """The person has this screen open with another sign-in; `take_over` says that it shall come here."""

    code, usual_rule = "open-elsewhere", "console.one-device"


def holders(machines: Iterable[UUID]) -> dict[UUID, UUID]:
    """Machine id → id of the user who holds it, for those that are held: one query."""
    path = kind_of(VirtualMachine).owner
    if not path:
        return {}
    rows: Any = VirtualMachine.objects.filter(pk__in=list(machines), **{f"{path}__isnull": False})
    return dict(rows.values_list("pk", path))


def hidden_from(actor: Actor, vm: VirtualMachine) -> bool:
    """Whether the screen is another person's at present, so that only their consent opens it."""
    for (holder,) in _HOLDER.rows(vm=vm.pk) if kind_of(VirtualMachine).owner else ():
        if holder is not None:
            return bool(holder != actor.user_id)
    return Session.objects.live().own().filter(vm=vm).exclude(user=actor.user_id).exists()


def require_own_screen(actor: Actor, vm: VirtualMachine) -> None:
    """Raise Denied when the screen is another person's."""
    if hidden_from(actor, vm):
        raise Denied(
            N_("Somebody else works at %(name)s; its screen is theirs."),
            rule="console.consent",
            about=vm,
            fix=N_("Ask them on the page of sessions: they can let you look on or help."),
            name=vm.name,
        )


def require_one_device(actor: Actor, vm: VirtualMachine, web_session: str) -> None:
    """Raise OpenElsewhere when the actor has the screen open under another sign-in. `web_session` is a hash.

    A session for which no gateway vouches any more is not asked about, for it is on no device; nor is one that was
    told to end: who took it over is not asked again while its gateway, which may have died, has not ended it yet.
    """
    since = clock.now() - VOUCHED
    for (opened,) in _ELSEWHERE.rows(vm=vm.pk, user=actor.user_id, web_session=web_session, since=since):
        raise OpenElsewhere(
            N_("%(name)s is open on another device since %(since)s."),
            fix=N_("Take it over: it then closes there. What runs in it goes on."),
            name=vm.name,
            since=opened.isoformat(timespec="seconds"),
        )
