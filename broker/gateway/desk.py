"""What the gateway needs from the rest of Berth: somebody who redeems tickets and says which consoles must end.

Every method may block (a database) and is called from a thread, never on the event loop.
"""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from .closing import Closing

if TYPE_CHECKING:
    from .recording import Tape


@dataclass(frozen=True, slots=True)
class Presented:
    """What a client showed at the door. Both secrets stay out of repr() and so out of logs.

    `kind` is what it wants to speak. `via` "native": a program on the user's computer, which has no web session and
    names the machine by its id instead.
    """

    secret: str = field(repr=False)
    web_session: str = field(repr=False)
    address: str
    kind: str = "vnc"
    via: str = "browser"
    machine: str = ""


@dataclass(frozen=True, slots=True)
class Agent:
    """A host's agent, which leads to the screen: the `opening` names it, `certificates` is the folder with ours."""

    certificates: str
    opening: bytes


@dataclass(frozen=True, slots=True)
class Rdp:
    """A desktop's own remote desktop: where it is, who signs in, the picture's size.

    `trust` is the folder of known certificates; the one of this `run` of the `machine` may not change.
    """

    address: str
    machine: str
    run: str
    trust: str
    username: str
    password: str = field(repr=False)
    domain: str = ""
    width: int = 1280
    height: int = 800


@dataclass(frozen=True, slots=True)
class Target:
    """Where the machine's screen is: a unix socket path, or host and port to be reached by VeNCrypt only.

    `bare`: a physical PC's VNC server at host and port, without TLS, that is given the `password` where there is one.
    With a `hello` it is no screen: that is sent first, and then bytes pass as they are, without any handshake. With an
    `agent` host and port are the agent's, and behind it is what else were behind the unix socket. With `rdp` the screen
    is made when somebody comes.
    """

    unix: str = ""
    host: str = ""
    port: int = 0
    hello: bytes = b""
    agent: Agent | None = None
    rdp: Rdp | None = None
    bare: bool = False
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a console's policy lets pass: text to and from the machine, devices, files, bytes a second (0: all)."""

    paste: bool = True
    copy: bool = True
    speed: int = 0
    usb: bool = True
    smartcard: bool = True
    files: bool = True


@dataclass(frozen=True, slots=True)
class Admitted:
    """A redeemed ticket: the session that was opened for it and what it may do; with a `tape` it is recorded.

    `blind`: where a client that speaks TLS may do so with the machine's host itself, unseen by the gateway.
    """

    session: str
    target: Target
    view_only: bool = False
    terms: Terms = field(default_factory=Terms)
    tape: "Tape | None" = None
    blind: Target | None = None


class Refused(Exception):
    """The ticket opens nothing; `closing` is what the browser is told."""

    def __init__(self, closing: Closing):
        super().__init__(closing.name)
        self.closing = closing


@dataclass(frozen=True, slots=True)
class Alive:
    """A console that runs now, as told to `revalidate`. Byte counts are since its start.

    `idle`: seconds since the last key or pointer, None before the first. `picture`: seconds from the knock at the door
    to the first picture, None before it.
    """

    session: str
    web_session: str = field(repr=False)
    bytes_up: int = 0
    bytes_down: int = 0
    idle: float | None = None
    picture: float | None = None


class TicketDesk(Protocol):
    def redeem(self, presented: Presented) -> Admitted:
        """Use up the ticket and open its session. Raises Refused."""
        ...

    def join(self, presented: Presented) -> Admitted:
        """What a ticket opened a moment ago, maybe by another gateway: for a further channel of SPICE.

        Uses nothing up. Raises Refused.
        """
        ...

    def leg(self, presented: Presented) -> ssl.SSLContext | None:
        """How a client that speaks TLS is taken, by what its ticket is for: with this context, here; None: blind.

        It uses nothing up; a ticket that opens nothing is refused when it is redeemed.
        """
        ...

    def revalidate(self, alive: Sequence[Alive]) -> Mapping[str, Closing]:
        """Record that these consoles run; returns those that must end now, by session, with the reason."""
        ...

    def closed(self, console: Alive, closing: Closing) -> None:
        """The console has ended; called once for every session that was opened."""
        ...

    def recorded(self, recording: UUID, why: str, size: int) -> None:
        """The recording has ended, for one of the reasons of `recording.Ended`; its console may go on."""
        ...
