"""Give a signed-in user a ticket for a machine's console."""

from dataclasses import dataclass, field

from django.conf import settings
from django.db import transaction
from django.db.models import DateTimeField, ExpressionWrapper, Value
from django.db.models.functions import Now

from broker.access.actor import Actor
from broker.access.require import require
from broker.connections.endpoints import through_gateway
from broker.connections.models import ConsoleTicket, Session
from broker.connections.rules import SESSIONS_PER_USER, TICKET_LIFE, TICKETS_WAITING
from broker.connections.secrets import computer, fingerprint, new_secret, uptime
from broker.core.errors import Conflict, Denied, Invalid, OverQuota
from broker.core.text import gettext_noop as N_
from broker.virt.driver import PowerState
from broker.virt.models import VirtualMachine
from broker.virt.states import VM


@dataclass(frozen=True, slots=True)
class IssuedTicket:
    """`secret` is shown to the browser once and stored nowhere; it travels as a websocket subprotocol."""

    id: str
    secret: str = field(repr=False)
    seconds: int
    kind: str
    view_only: bool

    @property
    def subprotocols(self) -> list[str]:
        """What the page passes to `new WebSocket(url, …)`."""
        return ["binary", f"berth.ticket.{self.secret}"]


def issue_ticket(*, actor: Actor, vm: VirtualMachine, kind: str = "vnc", view_only: bool = False) -> IssuedTicket:
    """Make a ticket bound to the actor's sign-in (`actor.session_key`), the machine and its present run.

    Raises Missing or Denied without the right "vm.use"; Denied without a sign-in in a browser; Invalid for an
    unknown kind; Conflict when the machine is not running or has no such screen; OverQuota with too many
    consoles open or tickets unused.
    """
    require(actor, "vm.use", vm)
    if actor.user is None or not actor.session_key:
        raise Denied(
            N_("A console in the browser needs a sign-in in that browser."),
            fix=N_("Sign in on the portal; API tokens cannot open browser consoles."),
        )
    if kind != "vnc":
        raise Invalid(
            N_("There is no console of kind %(kind)s in the browser."), field="kind", kind=kind, fix=N_("Use vnc.")
        )
    _check_state(vm, kind)
    with transaction.atomic():
        _check_quota(actor)
        secret = new_secret()
        ticket = ConsoleTicket.objects.create(
            secret_hash=fingerprint(secret),
            user=actor.user,
            web_session=fingerprint(actor.session_key),
            vm=vm,
            boot_id=vm.boot_id,
            kind=kind,
            view_only=view_only,
            address=actor.address if getattr(settings, "CONSOLE_BIND_ADDRESS", False) else None,
            expires_at=ExpressionWrapper(Now() + Value(TICKET_LIFE), output_field=DateTimeField()),
            tick=uptime(),
            computer=computer(),
        )
    return IssuedTicket(str(ticket.pk), secret, int(TICKET_LIFE.total_seconds()), kind, view_only)


def _check_state(vm: VirtualMachine, kind: str) -> None:
    if not VM.is_(vm.state, "usable"):
        raise Conflict(N_("%(name)s is %(state)s."), fix=N_("Wait until it is ready."), name=vm.name, state=vm.state)
    if vm.power_state not in (PowerState.RUNNING, PowerState.PAUSED):
        raise Conflict(N_("%(name)s is not running."), fix=N_("Start it, then connect."), name=vm.name)
    if through_gateway(vm, kind) is None:
        raise Conflict(
            N_("%(name)s has no screen that the gateway can reach safely."),
            fix=N_(
                "Wait some seconds if it was just started; else give it a VNC display on a unix socket or with TLS."
            ),
            name=vm.name,
        )


def _check_quota(actor: Actor) -> None:
    assert actor.user is not None
    if Session.objects.live().filter(user=actor.user).count() >= SESSIONS_PER_USER:
        raise OverQuota(
            N_("You have %(limit)s consoles open; more are not allowed."),
            fix=N_("Close one of them."),
            limit=SESSIONS_PER_USER,
        )
    waiting = ConsoleTicket.objects.filter(user=actor.user, used_at__isnull=True, expires_at__gt=Now())
    if waiting.count() >= TICKETS_WAITING:
        raise OverQuota(
            N_("You asked for %(limit)s consoles without opening one."),
            fix=N_("Wait half a minute."),
            limit=TICKETS_WAITING,
        )
