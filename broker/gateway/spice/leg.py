"""One channel of a SPICE session on the event loop, whatever its client came by: a websocket or a CONNECT."""

import asyncio
import logging
from typing import Protocol

from broker.gateway import closing as why
from broker.gateway.closing import Closing
from broker.gateway.desk import Presented, Refused
from broker.gateway.floor import Floor
from broker.gateway.onloop import OnLoop

from . import MAIN, SpiceError
from .channel import Channel
from .dial import SpiceMachine, dial
from .link import ClientLink, Link
from .sessions import SpiceSession

log = logging.getLogger(__name__)


class Client(Protocol):
    """The client's side of a channel."""

    def send(self, data: bytes) -> None: ...
    def pause(self) -> None:
        """Read nothing more for now: the machine is slow."""
        ...

    def resume(self) -> None: ...
    def close(self, closing: Closing, *, linked: bool) -> None:
        """Say why, and close. `linked`: the link handshake is over, so no SPICE reply may be sent any more."""
        ...


class SpiceLeg(OnLoop):
    """Reads what the client wants, lets the desk or the session decide, dials the machine and carries the bytes."""

    def __init__(self, floor: Floor, presented: Presented, client: Client):
        self.bytes_up = self.bytes_down = 0
        self._floor, self._presented, self._client = floor, presented, client
        self._loop = asyncio.get_running_loop()
        self._reader: ClientLink | None = ClientLink()
        self._linked: asyncio.Future[Link] = self._loop.create_future()
        self._link: Link | None = None
        self._session: SpiceSession | None = None
        self._machine: SpiceMachine | None = None
        self._channel: Channel | None = None
        self._replied = False
        self._closing: Closing | None = None
        self._opening = self._loop.create_task(self._open())
        self._expiry = self._loop.call_later(floor.limits.handshake, self._expire)

    async def _open(self) -> None:
        try:
            await self._admit_and_dial()
        except Refused as refusal:
            self._end(refusal.closing)
        except SpiceError as error:
            log.info("a SPICE channel was refused: %s", error)
            self._end(why.PROTOCOL)
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("a SPICE channel could not be opened")
            self._end(why.INTERNAL)

    def _expire(self) -> None:
        """The time is over in which the machine should have accepted the channel."""
        if self._channel is None or not self._channel.open:
            self._end(why.SLOW)

    async def _admit_and_dial(self) -> None:
        link = await self._linked
        if link.kind == MAIN and link.connection == 0:
            session = await self._redeem()
        else:
            session = self._floor.spice.find(self._floor, self._presented, link) or await self._join()
        session.join(link, self)
        self._session, self._link = session, link
        machine = await dial(session.admitted.target, self, self._floor)
        self._machine = machine
        self._channel = Channel(link, view_only=session.admitted.view_only, channels=session.channels)
        machine.relay(link.raw)

    async def _redeem(self) -> SpiceSession:
        return self._floor.spice.open(self._floor, await self._floor.redeem(self._presented), self._presented)

    async def _join(self) -> SpiceSession:
        """A session whose main channel is with another gateway. Raises Refused."""
        loop = asyncio.get_running_loop()
        admitted = await loop.run_in_executor(self._floor.pool, self._floor.desk.join, self._presented)
        return self._floor.spice.open(self._floor, admitted, self._presented, guest=True)

    def from_client(self, data: bytes) -> None:
        if self._closing is not None:
            return
        self.bytes_up += len(data)
        try:
            if self._reader is not None:
                if link := self._reader.receive(data):
                    self._reader = None
                    self._linked.set_result(link)
            elif self._channel is None or self._machine is None:
                raise SpiceError("the client spoke before the reply")
            else:
                if wanted := self._channel.from_client(data):
                    self._machine.write(wanted)
                if self._channel.open and self._session is not None:
                    self._session.typed(self._channel.link)
        except SpiceError as error:
            log.info("a SPICE client was cut off: %s", error)
            self._end(why.PROTOCOL)

    def from_machine(self, data: bytes) -> None:
        if self._closing is not None:
            return
        assert self._channel is not None and self._session is not None
        self.bytes_down += len(data)
        channel = self._channel
        try:
            passed = channel.from_machine(data)
        except SpiceError as error:
            log.warning("a machine's SPICE channel answered nonsense: %s", error)
            self._end(why.NONSENSE)
            return
        if channel.link.kind == MAIN and channel.connection is not None:
            self._session.connection = channel.connection
        if channel.drawn:
            self._session.drew()
        self._replied = True
        if passed:
            self._client.send(passed)

    def machine_lost(self) -> None:
        if self._closing is not None or self._channel is None or self._session is None:
            return
        if self._channel.link.kind != MAIN:
            self._end(why.FINISHED)
            return
        self._ask_why()

    def _ask_why(self) -> None:
        """The machine closed its screen: the desk may know why."""
        if self._closing is not None or self._session is None:
            return
        asked = self._floor.pool.submit(self._floor.why_lost, self._session.alive())
        asked.add_done_callback(lambda done: self.end(why.LOST if done.cancelled() else done.result()))

    def machine_full(self) -> None:
        if self._closing is None:
            self._client.pause()

    def machine_ready(self) -> None:
        if self._closing is None:
            self._client.resume()

    def client_full(self) -> None:
        if self._machine:
            self._machine.pause_reading()

    def client_ready(self) -> None:
        if self._machine and self._closing is None:
            self._machine.resume_reading()

    def client_gone(self, closing: Closing = why.FINISHED) -> None:
        self._end(closing)

    def _end(self, closing: Closing) -> None:
        if self._closing is not None:
            return
        self._closing = closing
        self._expiry.cancel()
        if self._machine:
            self._machine.abort()
        if self._opening is not asyncio.current_task(self._loop):
            self._opening.cancel()
        self._client.close(closing, linked=self._replied)
        if self._session is not None and self._link is not None:
            self._session.leave(self._link, self, closing)
