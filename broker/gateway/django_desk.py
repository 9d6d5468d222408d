"""The ticket desk over the database: translates between the gateway's words and broker.connections."""

import ipaddress
import logging
import ssl
import time
from collections.abc import Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import DatabaseError, close_old_connections

from broker.access.actor import Actor
from broker.connections.actions import TicketRefused, close_session, redeem_ticket
from broker.connections.blind import may_be_blind, ticket_is_blind
from broker.connections.endpoints import BY_VNC, SERIAL, Endpoint
from broker.connections.joining import session_to_join
from broker.connections.models import ConsolePolicy, Session
from broker.connections.policy import policy_of
from broker.connections.queries import must_end
from broker.connections.rdp_login import RdpLogin
from broker.connections.rules import INPUT_FRESH, NATIVE
from broker.connections.secrets import fingerprint
from broker.connections.timing import Picture, note_pictures
from broker.core.text import gettext_noop as N_
from broker.events.models import Severity
from broker.events.record import record
from broker.settings import env
from broker.virt.agent.consoles import PORT, TLS_SPICE, opening
from broker.virt.migrating.reach import address
from broker.virt.pki.line import enrolled
from broker.virt.serial.wire import Hello

from . import closing as why
from .closing import Closing
from .desk import Admitted, Agent, Alive, Presented, Rdp, Refused, Target, Terms

if TYPE_CHECKING:
    from broker.virt.models import VirtualMachine

    from .recording import Tape

log = logging.getLogger(__name__)
_UNKNOWN_EVERY = 10.0
_TLS_KEPT = 3600.0  # seconds; its certificate is renewed long before its end
_FRESH = INPUT_FRESH.total_seconds()


def _on_fresh_connection(function: Any) -> Any:
    """Threads of the desk live as long as the gateway: drop database connections that went stale meanwhile."""

    @wraps(function)
    def call(*args: Any) -> Any:
        close_old_connections()
        try:
            return function(*args)
        finally:
            close_old_connections()

    return call


class DjangoDesk:
    """A `TicketDesk`; `gateway` names this process in the sessions it carries."""

    def __init__(self, gateway: str):
        self._gateway = gateway
        self._actor = Actor.system(f"gateway {gateway}")
        self._told_unknown = -_UNKNOWN_EVERY
        self._noted: set[str] = set()
        self._own_tls: tuple[float, ssl.SSLContext] | None = None

    @_on_fresh_connection
    def redeem(self, presented: Presented) -> Admitted:
        try:
            session, endpoint = redeem_ticket(
                actor=self._actor,
                secret=presented.secret,
                web_session=presented.web_session,
                address=_address(presented.address),
                gateway=self._gateway,
                kind=presented.kind,
                via=presented.via,
                machine=presented.machine,
            )
        except TicketRefused as refusal:
            if not refusal.known:
                self._tell_unknown(presented.address)
            raise Refused(why.BY_NAME[refusal.reason]) from None
        policy = policy_of(session.vm)
        tape = self._tape(session) if policy.record and endpoint.kind in ("vnc", *BY_VNC) else None
        return _admitted(session, endpoint, policy, tape)

    @_on_fresh_connection
    def join(self, presented: Presented) -> Admitted:
        found = session_to_join(
            secret=presented.secret,
            web_session=presented.web_session,
            address=_address(presented.address),
            via=presented.via,
            machine=presented.machine,
        )
        if found is None:
            raise Refused(why.TICKET)
        session, endpoint = found
        return _admitted(session, endpoint, policy_of(session.vm), None)

    @_on_fresh_connection
    def leg(self, presented: Presented) -> ssl.SSLContext | None:
        if ticket_is_blind(presented.secret, presented.machine):
            return None
        now = time.monotonic()
        if self._own_tls is None or now - self._own_tls[0] > _TLS_KEPT:
            from broker.virt.pki.consoles import server_context

            self._own_tls = now, server_context()
        return self._own_tls[1]

    def _tape(self, session: Session) -> "Tape | None":
        from broker.connections.actions.begin_recording import begin_recording
        from broker.connections.recording.files import path_of

        from .recording import Tape

        if (begun := begin_recording(actor=self._actor, session=session)) is None:
            return None
        row, key = begun
        return Tape(row.pk, str(path_of(row.pk)), key, env.recording_mib << 20)

    @_on_fresh_connection
    def recorded(self, recording: UUID, why: str, size: int) -> None:
        from broker.connections.actions.end_recording import end_recording

        end_recording(actor=self._actor, recording=recording, why=why, size=size)

    def _tell_unknown(self, address: str) -> None:
        """One event in ten seconds at most: anybody can make up tickets, nobody shall fill the events with them."""
        now = time.monotonic()
        log.info("a made-up ticket came from %s", address)
        if now - self._told_unknown >= _UNKNOWN_EVERY:
            self._told_unknown = now
            record(
                "session.refused",
                actor=self._actor,
                severity=Severity.WARNING,
                message=N_("A console ticket that was never issued was shown from %(address)s."),
                address=address,
            )

    @_on_fresh_connection
    def revalidate(self, alive: Sequence[Alive]) -> Mapping[str, Closing]:
        fresh = {UUID(console.session) for console in alive if console.idle is not None and console.idle < _FRESH}
        self._note_pictures(alive)
        endings = must_end({UUID(console.session): console.web_session for console in alive}, fresh)
        return {str(session): why.BY_NAME[reason] for session, reason in endings.items()}

    @_on_fresh_connection
    def closed(self, console: Alive, closing: Closing) -> None:
        self._note_pictures([console])
        self._noted.discard(console.session)
        close_session(
            actor=self._actor,
            session=UUID(console.session),
            reason=closing.name,
            bytes_up=console.bytes_up,
            bytes_down=console.bytes_down,
        )

    def _note_pictures(self, consoles: Sequence[Alive]) -> None:
        """Those whose first picture went out since it was last looked. Losing one costs a measurement only."""
        fresh = [one for one in consoles if one.picture is not None and one.session not in self._noted]
        if not fresh:
            return
        self._noted.update(one.session for one in fresh)
        try:
            note_pictures({UUID(one.session): Picture(one.web_session, one.picture or 0.0) for one in fresh})
        except DatabaseError:
            log.exception("how long %d people waited could not be written down", len(fresh))


def _admitted(session: Session, endpoint: Endpoint, policy: ConsolePolicy, tape: "Tape | None") -> Admitted:
    terms = Terms(
        policy.paste, policy.copy, policy.speed * 1024, policy.usb, smartcard=policy.smartcard, files=policy.files
    )
    blind = _blind(session, endpoint) if session.via == NATIVE and may_be_blind(session.vm, policy) else None
    return Admitted(str(session.pk), _target(session, endpoint), session.view_only, terms, tape, blind)


def _target(session: Session, endpoint: Endpoint) -> Target:
    if endpoint.kind == SERIAL:
        hello = Hello(str(session.vm_id), str(session.user), write=not session.view_only)
        return Target(unix=endpoint.unix, hello=hello.line())
    if endpoint.login:
        return Target(rdp=_remote_desktop(session, endpoint, endpoint.login))
    if endpoint.bare:
        return Target(host=endpoint.host, port=endpoint.port, bare=True, password=endpoint.password)
    if endpoint.unix:
        return through_agent(session.vm, endpoint.kind) or Target(unix=endpoint.unix)
    return Target(host=endpoint.host, port=endpoint.port)


def _remote_desktop(session: Session, endpoint: Endpoint, login: RdpLogin) -> Rdp:
    user, domain = login.user_and_domain
    return Rdp(
        address=f"[{endpoint.host}]:{endpoint.port}" if ":" in endpoint.host else f"{endpoint.host}:{endpoint.port}",
        machine=str(session.vm_id),
        run=fingerprint(session.boot_id)[:16],
        trust=str(env.data_dir / "remote-desktops"),
        username=user,
        password=login.password,
        domain=domain,
        width=login.width,
        height=login.height,
    )


def _blind(session: Session, endpoint: Endpoint) -> Target | None:
    """Where the client itself speaks TLS: the host's agent, else its SPICE server."""
    return through_agent(session.vm, TLS_SPICE) if endpoint.unix else _target(session, endpoint)


def through_agent(vm: "VirtualMachine", kind: str) -> Target | None:
    """The agent of the host, where that is an enrolled one; None: the socket is on this computer."""
    host = vm.host
    if host is None or not enrolled(host):
        return None
    from broker.virt.pki.own import ensure  # the library for certificates is large

    return Target(host=address(host), port=PORT, agent=Agent(str(ensure()), opening(str(vm.pk), kind)))


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return None
