"""A leg that nobody here can look into: the client speaks TLS with the machine's own host, and bytes pass as they are.

Only where the ticket withholds nothing: what may not pass could not be kept back.
"""

from typing import Any

from broker.gateway import closing as why
from broker.gateway.desk import Refused
from broker.gateway.spice import MAIN
from broker.gateway.spice.dial import dial
from broker.gateway.spice.leg import SpiceLeg
from broker.gateway.spice.sessions import SpiceSession


class BlindLeg(SpiceLeg):
    """The first connection of a ticket redeems it; the client is read once the machine's host answers."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        # What the client waits for is TLS: it must never get SPICE's own refusal in the clear.
        self._replied = True

    async def _admit_and_dial(self) -> None:
        found = self._floor.spice.find_blind(self._floor, self._presented)
        session = found or await self._join_or_redeem()
        self._session = session
        try:
            self._link = session.join_blind(self)
        except Refused as refusal:
            if found is None and not session.guest:
                session.end(refusal.closing)
            raise
        assert session.admitted.blind is not None
        self._machine = await dial(session.admitted.blind, self, self._floor, blind=True)
        self._expiry.cancel()
        self._machine.relay(b"")
        self._client.resume()

    async def _join_or_redeem(self) -> SpiceSession:
        """Joining is asked first, for it uses nothing up."""
        try:
            return await self._join()
        except Refused:
            return await self._redeem()

    def _expire(self) -> None:
        self._end(why.SLOW)

    def from_client(self, data: bytes) -> None:
        if self._closing is None and self._machine is not None:
            self.bytes_up += len(data)
            self._machine.write(data)

    def from_machine(self, data: bytes) -> None:
        if self._closing is None:
            self.bytes_down += len(data)
            self._client.send(data)

    def machine_lost(self) -> None:
        if self._link is not None and self._link.kind != MAIN:
            self._end(why.FINISHED)
        else:
            self._ask_why()
