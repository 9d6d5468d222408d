"""A SPICE channel in a browser: a websocket of the picows engine as the client of a leg."""

from typing import TYPE_CHECKING

import picows

from broker.gateway.closing import Closing
from broker.gateway.spice.leg import SpiceLeg

from .picows import PicowsConsole

if TYPE_CHECKING:
    from broker.gateway.desk import Presented
    from broker.gateway.floor import Floor


class SpiceSocket(PicowsConsole):
    """Frames, pings and closing are those of any console; what the bytes mean is the leg's business."""

    def __init__(self, floor: "Floor", presented: "Presented"):
        super().__init__(floor, presented)
        self._leg: SpiceLeg | None = None

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._ws = transport
        self._leg = SpiceLeg(self._floor, self._presented, self)

    def _from_browser(self, data: bytes) -> None:
        assert self._leg is not None
        self._leg.from_client(data)

    def send(self, data: bytes) -> None:
        if self._ws:
            self._ws.send(picows.WSMsgType.BINARY, data)

    def pause(self) -> None:
        self.machine_full()

    def resume(self) -> None:
        self.machine_ready()

    def close(self, closing: Closing, *, linked: bool) -> None:
        super()._end(closing)

    def pause_writing(self) -> None:
        if self._leg:
            self._leg.client_full()

    def resume_writing(self) -> None:
        if self._leg:
            self._leg.client_ready()

    def _end(self, closing: Closing) -> None:
        if self._leg:
            self._leg.client_gone(closing)
        else:
            super()._end(closing)
