"""What every engine shares: the desk, the policy, the limits, the running consoles, the way to a hypervisor."""

import asyncio
import logging
import ssl
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from .admission import Policy
from .closing import FINISHED, LOST, RDP_ENDED, Closing
from .consoles import LiveConsoles
from .desk import Admitted, Alive, Presented, TicketDesk
from .limits import Limits
from .recording import Recorder, Scribe
from .spice.sessions import SpiceSessions

log = logging.getLogger(__name__)


@dataclass
class Floor:
    """The gateway floor on which consoles run.

    `hypervisor_tls` is the client context for remote machines (our certificate, their CA); without it only
    unix sockets can be reached. The small thread pool is where the desk's blocking calls happen.
    """

    desk: TicketDesk
    policy: Policy
    limits: Limits = field(default_factory=Limits)
    hypervisor_tls: ssl.SSLContext | None = None
    consoles: LiveConsoles = field(default_factory=LiveConsoles)
    spice: SpiceSessions = field(default_factory=SpiceSessions)
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4, thread_name_prefix="desk"))
    draining: bool = False
    own_tls: ssl.SSLContext | None = None
    """With which native clients speak TLS here; what the desk gave last."""
    scribe: Scribe = field(init=False)

    def __post_init__(self) -> None:
        self.scribe = Scribe(self.desk.recorded)

    async def redeem(self, presented: Presented) -> Admitted:
        """What the ticket opens. Raises Refused."""
        redeeming = self.pool.submit(self.desk.redeem, presented)

        def close_late(done: "Future[Admitted]") -> None:
            if not done.cancelled() and done.exception() is None:
                self.report_closed(Alive(done.result().session, presented.web_session), FINISHED)

        try:
            return await asyncio.shield(asyncio.wrap_future(redeeming))
        except asyncio.CancelledError:
            # The ticket may be redeemed all the same: its session must not stay open.
            redeeming.add_done_callback(close_late)
            raise

    def leg(self, presented: Presented) -> ssl.SSLContext | None:
        """As the desk says, which is asked for a session's first channel only. Called from a thread."""
        if (session := self.spice.of(presented)) is not None and (session.blind or self.own_tls):
            return None if session.blind else self.own_tls
        context = self.desk.leg(presented)
        self.own_tls = context or self.own_tls
        return context

    def recorder(self, admitted: Admitted) -> Recorder | None:
        """Begin the console's recording, if it is to have one."""
        return self.scribe.begin(admitted.tape) if admitted.tape else None

    def why_lost(self, console: Alive, admitted: Admitted | None = None) -> Closing:
        """Why a machine closed its screen, if the desk knows; called from a thread a moment after it did.

        The moment lets the news arrive: whoever stops a machine says so right before or after.
        """
        time.sleep(self.limits.news)
        unknown = RDP_ENDED if admitted and admitted.target.rdp else LOST
        try:
            return self.desk.revalidate([console]).get(console.session, unknown)
        except Exception as error:
            log.warning("the end of session %s could not be explained: %r", console.session, error)
            return unknown

    def report_closed(self, console: Alive, closing: Closing) -> None:
        """Tell the desk in the background that a session is over; a failure there is repaired by its own duty."""
        self.consoles.remove(console.session)
        log.info("session %s ended: %s", console.session, closing.name)
        self.pool.submit(self.desk.closed, console, closing).add_done_callback(_log_failure)


def _log_failure(future: "Future[None]") -> None:
    if not future.cancelled() and (error := future.exception()):
        log.warning("the end of a session could not be recorded: %s", error)


def hypervisor_context(directory: str) -> ssl.SSLContext:
    """The TLS context towards hypervisors from ca-cert.pem, client-cert.pem and client-key.pem in `directory`.

    The names are those libvirt and QEMU use. Raises OSError or ssl.SSLError when a file is missing or unfit.
    """
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=f"{directory}/ca-cert.pem")
    context.load_cert_chain(f"{directory}/client-cert.pem", f"{directory}/client-key.pem")
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def browser_context(certificate: str, key: str = "") -> ssl.SSLContext:
    """The TLS context towards browsers; `key` is in the file of the certificate chain when none is given (PEM).

    The browser's order of ciphers counts: it knows whether its processor does AES, and then puts AES-128 first, with
    which a picture costs less than with AES-256, OpenSSL's own first choice.
    Raises OSError or ssl.SSLError when a file is missing or unfit.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key or None)
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    return context
