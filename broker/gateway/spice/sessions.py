"""SPICE sessions: several connections that one ticket admits, bound together and ended together.

The main channel redeems the ticket. The others show the same secret and the number that the hypervisor gave the main
one, within seconds; after that the ticket is worth nothing, and before that only for what belongs to its session.

With several gateways a channel may come to one that has not the main channel: the desk knows what the ticket opened,
and for whom. There the session is a guest: it lasts as long as its channels, which the hypervisor closes when the main
one is gone, and its end is told by the gateway with the main channel alone.
"""

import hashlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from broker.gateway import closing as why
from broker.gateway.closing import Closing
from broker.gateway.desk import Admitted, Alive, Presented, Refused

from . import INPUTS, KNOWN, MAIN, SHOWN, SMARTCARD, UNSEEN, USBREDIR, WEBDAV
from .link import Link

if TYPE_CHECKING:
    from broker.gateway.floor import Floor


class Leg(Protocol):
    """One channel's connection, whoever carries it."""

    bytes_up: int
    bytes_down: int

    def end(self, closing: Closing) -> None:
        """Close both sides; returns at once, may be called twice and from any thread."""
        ...


class SpiceSession:
    """A running session: a `Console` made of its channels. `guest`: its main channel is with another gateway."""

    def __init__(
        self, floor: "Floor", admitted: Admitted, presented: Presented, ended: Callable[[], None], *, guest: bool
    ):
        self.admitted, self.presented, self.guest = admitted, presented, guest
        self.connection: int | None = None
        self.begun = time.monotonic()
        self._floor, self._ended = floor, ended
        self._lock = threading.Lock()
        self._legs: dict[tuple[int, int], Leg] = {}
        self._gone_up = self._gone_down = self._blind = 0
        self._input = 0.0
        self._picture: float | None = None
        self._closing: Closing | None = None

    @property
    def blind(self) -> bool:
        """Whether its channels pass unseen."""
        return self._blind > 0

    @property
    def channels(self) -> frozenset[int]:
        """The kinds of channels that this session may have."""
        if self.admitted.view_only:
            return SHOWN
        terms = self.admitted.terms
        withheld = {USBREDIR: terms.usb, SMARTCARD: terms.smartcard, WEBDAV: terms.files}
        return KNOWN - {kind for kind, may in withheld.items() if not may}

    def alive(self) -> Alive:
        with self._lock:
            up = self._gone_up + sum(leg.bytes_up for leg in self._legs.values())
            down = self._gone_down + sum(leg.bytes_down for leg in self._legs.values())
        idle = time.monotonic() - self._input if self._input else None
        return Alive(self.admitted.session, self.presented.web_session, up, down, idle, self._picture)

    def join(self, link: Link, leg: Leg) -> None:
        """Count a channel in. Raises Refused for one that this session may not have, or has."""
        with self._lock:
            if self._closing is not None:
                raise Refused(self._closing)
            if link.kind not in self.channels:
                raise Refused(why.WITHHELD)
            if (link.kind, link.number) in self._legs:
                raise Refused(why.TICKET)
            if len(self._legs) >= self._floor.limits.channels:
                raise Refused(why.TOO_MANY)
            self._legs[link.kind, link.number] = leg

    def join_blind(self, leg: Leg) -> Link:
        """Count a channel in that nobody here can look into; the first is the main one, as the protocol has it."""
        with self._lock:
            if self._closing is not None:
                raise Refused(self._closing)
            if not self.admitted.blind or (self._legs and not self._blind):
                raise Refused(why.WITHHELD)
            if len(self._legs) >= self._floor.limits.channels:
                raise Refused(why.TOO_MANY)
            self._blind += 1
            link = Link(0, MAIN if self._blind == 1 and not self.guest else UNSEEN, self._blind, 0, b"")
            self._legs[link.kind, link.number] = leg
            return link

    def leave(self, link: Link, leg: Leg, closing: Closing) -> None:
        """A channel's connection is over; with the main one the whole session is."""
        with self._lock:
            if self._legs.get((link.kind, link.number)) is not leg:
                return
            del self._legs[link.kind, link.number]
            self._gone_up += leg.bytes_up
            self._gone_down += leg.bytes_down
            last = not self._legs
        if link.kind == MAIN or (self.guest and last):
            self.end(closing)

    def typed(self, link: Link) -> None:
        if link.kind == INPUTS:
            self._input = time.monotonic()

    def drew(self) -> None:
        if self._picture is None:
            self._picture = time.monotonic() - self.begun

    def end(self, closing: Closing) -> None:
        """Close every channel with this reason; the first reason counts. Safe from any thread."""
        with self._lock:
            if self._closing is not None:
                return
            self._closing = closing
            legs = list(self._legs.values())
        self._ended()
        for leg in legs:
            leg.end(closing)
        if self.guest:
            self._floor.consoles.remove(self.admitted.session)
        else:
            self._floor.report_closed(self.alive(), closing)


class SpiceSessions:
    """Which secret opened which session; secrets are kept as their hash."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_secret: dict[bytes, SpiceSession] = {}

    def open(self, floor: "Floor", admitted: Admitted, presented: Presented, *, guest: bool = False) -> SpiceSession:
        """The session of a ticket that has just been redeemed; or, of a `guest`, that was redeemed elsewhere."""
        key = _key(presented)
        session = SpiceSession(floor, admitted, presented, lambda: self._forget(key), guest=guest)
        with self._lock:
            if guest and key in self._by_secret:
                return self._by_secret[key]  # another of its channels was faster
            self._by_secret[key] = session
        floor.consoles.add(admitted.session, session)
        return session

    def find(self, floor: "Floor", presented: Presented, link: Link) -> SpiceSession | None:
        """The session to which a further channel belongs; None: if to any, then to one that the desk knows of.

        Raises Refused: the ticket opens nothing more.
        """
        session = self.of(presented)
        if link.kind == MAIN or not link.connection:
            raise Refused(why.TICKET)
        if session is None or session.guest:
            return None
        if time.monotonic() - session.begun > floor.limits.channels_within:
            raise Refused(why.TICKET)
        if session.connection is None or link.connection != session.connection:
            raise Refused(why.TICKET)
        return session

    def find_blind(self, floor: "Floor", presented: Presented) -> SpiceSession | None:
        """The session to which a further blind channel belongs; None: ask the desk. Raises Refused: too late."""
        session = self.of(presented)
        if session is not None and session.guest:
            return None
        if session is not None and time.monotonic() - session.begun > floor.limits.channels_within:
            raise Refused(why.TICKET)
        return session

    def of(self, presented: Presented) -> SpiceSession | None:
        """The open session that was opened by what is presented."""
        with self._lock:
            return self._by_secret.get(_key(presented))

    def _forget(self, key: bytes) -> None:
        with self._lock:
            self._by_secret.pop(key, None)


def _key(presented: Presented) -> bytes:
    """All that binds: another sign-in, another kind of client, another machine make another key."""
    parts = (presented.secret, presented.web_session, presented.kind, presented.via, presented.machine)
    return hashlib.sha256("\0".join(parts).encode()).digest()
