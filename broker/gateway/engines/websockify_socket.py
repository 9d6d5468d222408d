"""websockify's websocket with the limits of ours, and with the one text that is answered."""

import time
from typing import Any

from websockify.websockifyserver import CompatibleWebSocket

from broker.gateway import closing as why
from broker.gateway.admission import ECHO, SUBPROTOCOL
from broker.gateway.closing import Closing

_TEXT = 0x1


class Broken(Exception):
    """The console must end for this reason."""

    def __init__(self, closing: Closing):
        super().__init__(closing.name)
        self.closing = closing


class GuardedSocket(CompatibleWebSocket):  # type: ignore[misc]
    """websockify's websocket with limits: frame size and mask are checked from the frame's first bytes."""

    _control_frames, _control_window = 0, 0.0
    _recv_queue: list[dict[str, Any]]

    def select_subprotocol(self, protocols: list[str]) -> str:
        return next((offered for offered in protocols if offered.strip() == SUBPROTOCOL), "")

    def _decode_hybi(self, buf: bytes) -> Any:
        if len(buf) >= 2:
            length = buf[1] & 0x7F
            if not buf[1] & 0x80:
                raise Broken(why.PROTOCOL)
            if length >= 126:
                length = int.from_bytes(buf[2:4] if length == 126 else buf[2:10], "big")
            if length >> 63:
                raise Broken(why.PROTOCOL)
            if length > self.request_handler.floor.limits.frame:
                raise Broken(why.TOO_BIG)
        return super()._decode_hybi(buf)

    def _recv(self) -> bool:
        # Before the original closes the socket, over which the reason still has to go.
        if not super()._recv():
            raise Broken(self.request_handler.ending or why.FINISHED)
        return True

    def _recvmsg(self) -> Any:
        echoes = [frame for frame in self._recv_queue if _is_echo(frame)]
        self._recv_queue = [frame for frame in self._recv_queue if not _is_echo(frame)]
        for _ in echoes:
            self._count_control()
            self._sendmsg(_TEXT, ECHO)
        return super()._recvmsg()

    def handle_ping(self, data: bytes) -> None:
        self._count_control()
        super().handle_ping(data)

    def _count_control(self) -> None:
        now = time.monotonic()
        if now - self._control_window > 10:
            self._control_frames, self._control_window = 0, now
        self._control_frames += 1
        if self._control_frames > self.request_handler.floor.limits.control_frames:
            raise Broken(why.FLOOD)

    def shutdown(self, how: int | None, code: int | None = 1000, reason: str | None = None) -> None:
        # `how` is None for the answer to the browser's own close; a code of ours with it is a complaint.
        if how is not None and code in (1002, 1003) and not self.request_handler.ending:
            raise Broken(why.BY_CODE[code])
        super().shutdown(how, code, reason)


def _is_echo(frame: dict[str, Any]) -> bool:
    return frame["opcode"] == _TEXT and bool(frame["fin"]) and bytes(frame["payload"]) == ECHO
