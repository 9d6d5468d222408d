"""Give a signed-in user a ticket for a machine's console."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import CharField, Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce, Now

from broker import sql
from broker.access.actor import Actor
from broker.access.require import require, require_within
from broker.connections.consent import require_one_device, require_own_screen
from broker.connections.endpoints import RDP, SERIAL
from broker.connections.models import ConsolePolicy, ConsoleTicket, Help, Session, Share
from broker.connections.policy import only_by_vnc, policy_of
from broker.connections.rdp import screen_of
from broker.connections.rdp_login import RdpLogin, seal
from broker.connections.rights import SERIAL_VERB
from broker.connections.rules import NATIVE, NATIVE_TICKET_LIFE, SESSIONS_PER_USER, TICKET_LIFE, TICKETS_WAITING
from broker.connections.secrets import computer, fingerprint, new_secret, uptime
from broker.connections.states import HelpState
from broker.core.errors import Conflict, Denied, Invalid, OverQuota
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.sql import Given, Statement
from broker.virt.driver import PowerState
from broker.virt.models import PhysicalMachine, VirtualMachine
from broker.virt.physical.waking import require_in_service
from broker.virt.states import VM


def _count_of(rows: QuerySet[Any]) -> Coalesce:
    """How many of the user's rows there are, as a column."""
    counted = rows.filter(user=OuterRef("pk")).order_by().values("user").annotate(count=Count("pk"))
    return Coalesce(Subquery(counted.values("count")), 0)


# The database's clock is the one that a ticket's end is compared with.
_PRESENT = Statement(
    lambda: (
        User.objects.filter(pk=Given("user"))
        .order_by()
        .values_list(
            # As when the ticket is redeemed: the same sign-in at the same screen counts once.
            _count_of(Session.objects.carried().exclude(vm=Given("vm"), web_session=Given("web_session", CharField()))),
            _count_of(ConsoleTicket.objects.filter(used_at__isnull=True, expires_at__gt=Now())),
            Now(),
        )
    )
)


@dataclass(frozen=True, slots=True)
class IssuedTicket:
    """`secret` is shown to the browser once and stored nowhere; it travels as a websocket subprotocol."""

    id: str
    secret: str = field(repr=False)
    seconds: int
    kind: str
    view_only: bool
    recorded: bool

    @property
    def subprotocols(self) -> list[str]:
        """What the page passes to `new WebSocket(url, …)`."""
        return ["binary", f"berth.ticket.{self.secret}"]


def issue_ticket(
    *,
    actor: Actor,
    vm: VirtualMachine,
    kind: str = "vnc",
    via: str = "browser",
    view_only: bool = False,
    take_over: bool = False,
    help: Help | None = None,
    share: Share | None = None,
    unasked: bool = False,
    login: RdpLogin | None = None,
) -> IssuedTicket:
    """Make a ticket bound to the actor's sign-in (`actor.session_key`), the machine and its present run.

    `help` or `share` is the consent of the person whose screen it is; what they allow bounds `view_only`.
    `take_over`: when the screen opens here, it closes on the person's other devices.
    `via` "native" is for a program on the user's computer, which needs no sign-in.
    `login` is for the desktop's own remote desktop (`kind` "rdp"), and needed there.
    `unasked`: it comes with a page, and may not use up what others that are asked for need.
    Raises Missing or Denied without the right "vm.use" ("vm.serial" for the serial line), or when the screen is
    another person's; Denied without a sign-in in a browser; Invalid for an unknown kind; OpenElsewhere without
    `take_over`; Conflict when the machine
    is not running or has no such screen; OverQuota with too many consoles open or tickets unused.
    """
    if share is not None:
        require_within(actor, "vm.use", vm)
        view_only = _check_share(actor, vm, share) or view_only
    else:
        require(actor, SERIAL_VERB if kind == SERIAL else "vm.use", vm)
    if actor.user is None or not (actor.session_key or via == NATIVE):
        raise Denied(
            N_("A console in the browser needs a sign-in in that browser."),
            rule="console.sign-in",
            fix=N_("Sign in on the portal; API tokens cannot open browser consoles."),
        )
    if help is not None:
        view_only = _check_help(actor, vm, help) or view_only
    elif share is None and kind != SERIAL:
        require_own_screen(actor, vm)
    consent = help is not None or share is not None
    _check_kind(kind, via, other_person=consent)
    if (kind == RDP) != (login is not None):
        raise Invalid(
            N_("A user name and a password go with the remote desktop, and with nothing else."),
            field="login",
            fix=N_("Type both to open it; leave them out elsewhere."),
        )
    policy = policy_of(vm)
    _check_state(vm, kind, policy)
    if kind == "spice" and only_by_vnc(policy, vm):
        _refuse_spice(vm, recorded=policy.record)
    if not consent and kind != SERIAL and not take_over:
        require_one_device(actor, vm, fingerprint(actor.session_key))
    web_session = fingerprint(actor.session_key) if actor.session_key else ""
    now = _check_quota(actor, vm, web_session, most_waiting=1 if unasked else TICKETS_WAITING)
    secret = new_secret()
    life = NATIVE_TICKET_LIFE if via == NATIVE else TICKET_LIFE
    ticket = sql.add(
        ConsoleTicket(
            secret_hash=fingerprint(secret),
            user=actor.user,
            web_session=web_session,
            vm=vm,
            boot_id=vm.boot_id,
            kind=kind,
            via=via,
            view_only=view_only,
            recorded=policy.record,
            take_over=take_over and not consent and kind != SERIAL,
            help=help,
            share=share,
            address=actor.address if getattr(settings, "CONSOLE_BIND_ADDRESS", False) else None,
            expires_at=now + life,
            tick=uptime(),
            computer=computer(),
            login=seal(login) if login else "",
        )
    )
    return IssuedTicket(str(ticket.pk), secret, int(life.total_seconds()), kind, view_only, policy.record)


def _check_kind(kind: str, via: str, *, other_person: bool) -> None:
    alone = kind in (SERIAL, RDP) and other_person
    if kind not in ("vnc", "spice", SERIAL, RDP) or alone or (via == NATIVE and kind != "spice"):
        raise Invalid(
            N_("There is no console of kind %(kind)s in this way."),
            field="kind",
            kind=kind,
            fix=N_("Use vnc, spice, rdp or serial in the browser, spice in remote-viewer."),
        )
    if kind == "spice" and other_person:
        raise Invalid(
            N_("SPICE shows a screen to one person at a time: you would throw out who works there."),
            field="kind",
            fix=N_("Look on by VNC."),
        )


def _refuse_spice(vm: VirtualMachine, *, recorded: bool) -> None:
    """Another way to the screen would be a way around what its policy says."""
    if not recorded:
        raise Conflict(
            N_("What may pass at the screen of %(name)s is limited, and only VNC in the browser keeps to that."),
            rule="console.policy",
            about=vm,
            fix=N_("Open its console in the browser by VNC."),
            name=vm.name,
        )
    raise Conflict(
        N_("The screen of %(name)s is recorded, and only VNC in the browser can be."),
        rule="console.recorded",
        about=vm,
        fix=N_("Open its console in the browser by VNC."),
        name=vm.name,
    )


def _check_share(actor: Actor, vm: VirtualMachine, share: Share) -> bool:
    """Whether the link lets the actor only look; raises Denied when it opens nothing (any more)."""
    good = Share.objects.good().filter(pk=share.pk, vm=vm, guests=actor.user_id).exists()
    if actor.user is None or not good:
        raise Denied(
            N_("This link does not open the screen (any more)."),
            rule="console.share",
            about=vm,
            fix=N_("Ask who gave it to you for a new one."),
        )
    return share.level == Share.Level.VIEW


def _check_help(actor: Actor, vm: VirtualMachine, help: Help) -> bool:
    """Whether the consent is only to look; raises Denied when there is none."""
    present = Help.objects.filter(pk=help.pk, vm=vm, helper=actor.user_id, state=HelpState.ALLOWED).first()
    if present is None:
        raise Denied(
            N_("The person at %(name)s has not allowed you to see the screen."),
            rule="console.consent",
            about=vm,
            fix=N_("Ask them; they answer in their page."),
            name=vm.name,
        )
    return present.level == Help.Level.LOOK


def _check_state(vm: VirtualMachine, kind: str, policy: ConsolePolicy) -> None:
    if not VM.is_(vm.state, "usable"):
        raise Conflict(
            N_("%(name)s is %(state)s."),
            rule="machine.usable",
            about=vm,
            fix=N_("Wait until it is ready."),
            name=vm.name,
            state=vm.state,
        )
    if vm.is_physical:
        require_in_service(PhysicalMachine.objects.select_related("vm").get(pk=vm.pk))
    if vm.power_state not in (PowerState.RUNNING, PowerState.PAUSED):
        raise Conflict(
            N_("%(name)s is not running."),
            rule="power.running",
            about=vm,
            fix=N_("Start it, then connect."),
            name=vm.name,
        )
    if screen_of(vm, kind, policy) is None:
        if kind == RDP:
            raise Conflict(
                N_("%(name)s is not offered by RDP in the browser, or its address is not known yet."),
                rule="console.rdp",
                about=vm,
                fix=N_("Open its screen by VNC, or wait until its guest agent answers."),
                name=vm.name,
            )
        if vm.is_physical:
            raise Conflict(
                N_("%(name)s is on, and no VNC server answers there."),
                rule="console.reachable",
                about=vm,
                fix=N_(
                    "Wait some seconds if it was just started; else open it by RDP, or have its VNC server seen to."
                ),
                name=vm.name,
            )
        raise Conflict(
            N_("%(name)s has no screen that the gateway can reach safely."),
            rule="console.reachable",
            about=vm,
            fix=N_("Wait some seconds if it was just started; else give it a display on a unix socket or with TLS."),
            name=vm.name,
        )


def _check_quota(actor: Actor, vm: VirtualMachine, web_session: str, *, most_waiting: int) -> datetime:
    """Raise OverQuota with too many consoles open or tickets unused; else the time by the database's clock."""
    ((opened, unused, now),) = _PRESENT.rows(user=actor.user_id, vm=vm.pk, web_session=web_session)
    if opened >= SESSIONS_PER_USER:
        raise OverQuota(
            N_("You have %(limit)s consoles open; more are not allowed."),
            rule="console.most-open",
            fix=N_("Close one of them."),
            limit=SESSIONS_PER_USER,
        )
    if unused >= most_waiting:
        raise OverQuota(
            N_("You asked for %(limit)s consoles without opening one."),
            rule="console.most-tickets",
            fix=N_("Wait half a minute."),
            limit=most_waiting,
        )
    present: datetime = now
    return present
