"""Use up a ticket and open its session: the gateway's question when a browser knocks."""

from dataclasses import replace
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.crypto import constant_time_compare

from broker.access.actor import Actor
from broker.access.require import require
from broker.connections.consent import hidden_from
from broker.connections.endpoints import BY_VNC, RDP, SERIAL, Endpoint
from broker.connections.models import ConsolePolicy, ConsoleTicket, Session, Share
from broker.connections.physical import dialable
from broker.connections.policy import only_by_vnc, policy_of
from broker.connections.rdp import screen_of
from broker.connections.rdp_login import unseal
from broker.connections.rights import SERIAL_VERB, entitled
from broker.connections.rules import NATIVE, NATIVE_TICKET_LIFE, SESSIONS_PER_USER, SESSIONS_PER_VM, TICKET_LIFE
from broker.connections.secrets import computer, fingerprint, uptime
from broker.connections.sign_in import good_sign_ins
from broker.connections.signing_on import wish
from broker.connections.states import SESSION, EndReason, HelpState
from broker.core.text import gettext_noop as N_
from broker.directories.demands import lacking
from broker.directories.models import User
from broker.events.models import Severity
from broker.events.news import publish
from broker.events.record import record
from broker.virt.driver import PowerState
from broker.virt.states import VM


class TicketRefused(Exception):
    """The ticket opens nothing. `known` says whether it exists at all."""

    def __init__(self, reason: EndReason, *, known: bool):
        super().__init__(reason)
        self.reason, self.known = reason, known


def redeem_ticket(
    *,
    actor: Actor,
    secret: str,
    web_session: str,
    address: str | None,
    gateway: str,
    kind: str = "vnc",
    via: str = "browser",
    machine: str = "",
) -> tuple[Session, Endpoint]:
    """Consume the ticket, check everything it is bound to, open the session.

    `actor` is the gateway itself; the right that counts is that of the ticket's user. `web_session` is the
    session cookie's value. A native client (`via`) has none and names the `machine` it wants by its id. `kind` is what
    the client speaks. A ticket that is shown by the wrong hands is used up all the same. Returns the session
    and where to dial. Raises TicketRefused; the refusal of a known ticket is recorded.
    """
    require(actor, "system.manage")
    with transaction.atomic():
        used = _usable().filter(secret_hash=fingerprint(secret)).update(used_at=Now())
        rows = ConsoleTicket.objects.select_related("user", "vm", "help", "share__owner")
        ticket = rows.filter(secret_hash=fingerprint(secret)).first()
        if ticket is None:
            raise TicketRefused(EndReason.TICKET, known=False)
        if ticket.login:
            ConsoleTicket.objects.filter(pk=ticket.pk).update(login="")
        reason = EndReason.TICKET
        if used:
            door = "vnc" if ticket.kind in BY_VNC else ticket.kind
            fits = (door, ticket.via) == (kind, via) and machine in ("", str(ticket.vm_id))
            verdict = _judge(ticket, web_session, address) if fits else EndReason.FOREIGN
            if not isinstance(verdict, EndReason):
                endpoint, policy = verdict
                return _open(ticket, policy, address, gateway), endpoint
            reason = verdict
        _record_refusal(ticket, reason, address)
    raise TicketRefused(reason, known=True)


def _usable() -> Any:
    now = uptime()
    in_time = Q(tick__gt=now - TICKET_LIFE.total_seconds())
    in_time |= Q(via=NATIVE, tick__gt=now - NATIVE_TICKET_LIFE.total_seconds())
    return ConsoleTicket.objects.filter(
        ~Q(computer=computer()) | in_time,
        used_at__isnull=True,
        created_at__lte=Now(),
        expires_at__gt=Now(),
    )


def _judge(ticket: ConsoleTicket, web_session: str, address: str | None) -> tuple[Endpoint, ConsolePolicy] | EndReason:
    user, vm = ticket.user, ticket.vm
    native = ticket.via == NATIVE
    if not native and not constant_time_compare(ticket.web_session, fingerprint(web_session)):
        return EndReason.FOREIGN
    if ticket.address and ticket.address != address:
        return EndReason.FOREIGN
    if not user.is_active:
        return EndReason.DISABLED
    if (not native and not good_sign_ins([(web_session, user)])) or lacking([user]):
        return EndReason.SIGNED_OUT
    if refusal := _without_consent(ticket):
        return refusal
    if not VM.is_(vm.state, "usable") or vm.power_state not in (PowerState.RUNNING, PowerState.PAUSED):
        return EndReason.STOPPED
    if ticket.boot_id != vm.boot_id:
        return EndReason.REBOOTED
    # The user's row is the lock: two tickets at once must not both be the last one allowed.
    User.objects.select_for_update().get(pk=user.pk)
    carried = Session.objects.carried()
    # The same sign-in at the same screen counts once: a page whose gateway or line died comes back while its session is
    # still taken to be there.
    others = carried.filter(user=user).exclude(vm=vm, web_session=ticket.web_session)
    if others.count() >= SESSIONS_PER_USER or carried.filter(vm=vm).count() >= SESSIONS_PER_VM:
        return EndReason.TOO_MANY
    policy = policy_of(vm)
    if ticket.kind == "spice" and only_by_vnc(policy, vm):
        return EndReason.UNREACHABLE
    if policy.record and not ticket.recorded:
        return EndReason.TICKET  # the policy came after the ticket: the page asks for another, and tells its reader
    screen = screen_of(vm, ticket.kind, policy)
    if screen and vm.is_physical:
        screen = dialable(vm.physical, screen)
    if screen and ticket.kind == RDP:
        login = unseal(ticket.login)
        return (replace(screen, login=login), policy) if login else EndReason.TICKET
    return (screen, policy) if screen else EndReason.UNREACHABLE


def _without_consent(ticket: ConsoleTicket) -> EndReason | None:
    """Why the ticket's user may not see this screen now; None when they may."""
    user, vm = ticket.user, ticket.vm
    if ticket.share:
        good = Share.objects.good().filter(pk=ticket.share.pk, guests=user)
        # Who shares passes on a right of their own, and no longer than they have it.
        shared = good.exists() and entitled([(ticket.share.owner, vm.pk)])
        return None if shared else EndReason.CONSENT_ENDED
    if ticket.kind == SERIAL:
        return None if entitled([(user, vm.pk)], SERIAL_VERB) else EndReason.RIGHT_LOST
    if not entitled([(user, vm.pk)]):
        return EndReason.RIGHT_LOST
    if ticket.help:
        return None if ticket.help.state == HelpState.ALLOWED else EndReason.CONSENT_ENDED
    return EndReason.RIGHT_LOST if hidden_from(Actor.for_user(user), vm) else None


def _purpose(ticket: ConsoleTicket) -> str:
    if ticket.share:
        return Session.Purpose.SHARE
    if ticket.kind == SERIAL:
        return Session.Purpose.SERIAL
    return Session.Purpose(ticket.help.level) if ticket.help else Session.Purpose.OWN


def _replace(ticket: ConsoleTicket) -> None:
    """The screen opens here: end it on the person's other devices, if that is wished.

    SPICE shows it in one place at a time, whatever is wished: QEMU drops who was there before. They are told why, for
    a page that takes it for a broken line comes back by itself and drops the new one.
    """
    mine = Session.objects.own().filter(vm=ticket.vm, user=ticket.user)
    wished = Q(via="browser") & ~Q(web_session=ticket.web_session) if ticket.take_over else Q(pk__in=())
    dropped = Q(kind="spice", via__in=("browser", NATIVE)) if ticket.kind == "spice" else Q(pk__in=())
    others = mine.filter(wished | dropped)
    if SESSION.attempt(others, "end", close_reason=EndReason.REPLACED):
        for pk in others.live().values_list("pk", flat=True):
            publish("session", pk, "ending")


def _open(ticket: ConsoleTicket, policy: ConsolePolicy, address: str | None, gateway: str) -> Session:
    if ticket.take_over or ticket.kind == "spice":
        _replace(ticket)
    session = Session.objects.create(
        purpose=_purpose(ticket),
        help=ticket.help,
        share=ticket.share,
        web_session=ticket.web_session,
        user=ticket.user,
        vm=ticket.vm,
        kind=ticket.kind,
        via=ticket.via,
        view_only=ticket.view_only,
        address=address,
        gateway=gateway,
        boot_id=ticket.boot_id,
    )
    record(
        "session.opened",
        actor=Actor.for_user(ticket.user, address=address),
        subject=ticket.vm,
        message=N_("%(user)s opened the console of %(vm)s."),
        user=ticket.user,
        vm=ticket.vm,
        session=session.pk,
        view_only=ticket.view_only,
        purpose=session.purpose,
    )
    wish(session, policy)
    publish("session", session.pk, "opened")
    publish("vm", ticket.vm_id, "console")
    return session


def _record_refusal(ticket: ConsoleTicket, reason: EndReason, address: str | None) -> None:
    record(
        "session.refused",
        actor=Actor.for_user(ticket.user, address=address),
        subject=ticket.vm,
        severity=Severity.WARNING,
        message=N_("A ticket of %(user)s for the console of %(vm)s was refused: %(reason)s."),
        user=ticket.user,
        vm=ticket.vm,
        reason=reason,
    )
