"""The server half of the RFB handshake, spoken to the browser: only security type None, for the ticket was the key."""

from . import RfbError
from .hypervisor import NONE, VERSION


class BrowserHandshake:
    """Send `greeting()`, feed what the browser sends, send on what comes back, until `done`.

    The browser's ClientInit is swallowed: whether others may look on is not for the page to say, so the
    gateway always asks the hypervisor for a shared connection. `rest` holds what came after it.
    """

    CLIENT_INIT = b"\x01"

    def __init__(self) -> None:
        self.done, self.rest = False, b""
        self._buffer = bytearray()
        self._expected = [(len(VERSION), self._version), (1, self._type), (1, self._init)]

    def greeting(self) -> bytes:
        return VERSION

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the browser; returns bytes to send to it. Raises RfbError."""
        self._buffer += data
        answer = bytearray()
        while self._expected and len(self._buffer) >= self._expected[0][0]:
            length, step = self._expected.pop(0)
            answer += step(bytes(self._buffer[:length]))
            del self._buffer[:length]
        if not self._expected:
            self.done = True
            self.rest += bytes(self._buffer)
            self._buffer.clear()
        return bytes(answer)

    def _version(self, line: bytes) -> bytes:
        if line != VERSION:
            raise RfbError("the browser does not speak RFB 3.8")
        return bytes([1, NONE])

    def _type(self, chosen: bytes) -> bytes:
        if chosen[0] != NONE:
            raise RfbError("the browser chose what was not offered")
        return b"\x00\x00\x00\x00"

    def _init(self, shared: bytes) -> bytes:
        return b""
