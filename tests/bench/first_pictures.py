"""How long consoles that are asked for in the same moment wait for their first picture: ours, websockify, socat.

Client and machine cost as little as can be: one thread each over epoll, and no byte is looked at that need not be. They
share a core; the relay has the other. A relay on one core cannot serve the hundredth before the ninety-nine others, so
beside the figure stands what each console costs it (of its core, in all, until its picture is there).
"""

import selectors
import socket
import statistics
import struct
import time
from dataclasses import dataclass

from tests.bench.gateway import Relay
from tests.bench.gateway_ends import SERVER_INIT, UPGRADE

FRAME = 20 * 1024
_ORDER = FRAME.to_bytes(8, "big") + bytes(52) + b"\x02\0\0\0"
_MASKED = 0x80
# How many bytes the machine's side sends next, and what is answered to them.
_STEPS = ((12, b"RFB 003.008\n"), (2, b"\x01"), (4, b"\x01"), (len(SERVER_INIT), _ORDER), (FRAME, b""))


class Console:
    """The client's end until the first picture; `took` is set then."""

    def __init__(self, relay: Relay, began: float):
        self.began, self.took = began, 0.0
        self._websocket = relay.websocket
        self._upgraded = not relay.websocket
        self._step, self._left = 0, _STEPS[0][0]
        self._head, self._payload = b"", 0
        self.socket = socket.socket()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.socket.connect_ex(("127.0.0.1", relay.port))

    def connected(self) -> None:
        if self._websocket:
            self.socket.send(UPGRADE)

    def read(self) -> bool:
        """Whether the picture is there."""
        data = self.socket.recv(65536)
        assert data, "the relay closed a console"
        if not self._upgraded:
            self._head += data
            head, end, data = self._head.partition(b"\r\n\r\n")
            if not end:
                return False
            assert head.startswith(b"HTTP/1.1 101"), head
            self._upgraded, self._head = True, b""
        self._count(self._unframed(data) if self._websocket else len(data))
        return self.took > 0

    def _unframed(self, data: bytes) -> int:
        """How many bytes of payload are in it (frames of a server have no mask)."""
        data, self._head, payload = self._head + data, b"", 0
        while data:
            if self._payload:
                part = min(self._payload, len(data))
                payload, self._payload, data = payload + part, self._payload - part, data[part:]
                continue
            size = data[1] & 0x7F if len(data) > 1 else 0
            wide = {126: 2, 127: 8}.get(size, 0)
            if len(data) < 2 + wide:
                self._head = data
                break
            self._payload = int.from_bytes(data[2 : 2 + wide], "big") if wide else size
            data = data[2 + wide :]
        return payload

    def _count(self, payload: int) -> None:
        while payload:
            part = min(payload, self._left)
            payload, self._left = payload - part, self._left - part
            if self._left:
                continue
            answer = _STEPS[self._step][1]
            if not answer:
                self.took = time.perf_counter() - self.began
                return
            self._step += 1
            self._left = _STEPS[self._step][0]
            head = struct.pack(">BB4x", 0x82, _MASKED | len(answer)) if self._websocket else b""
            self.socket.send(head + answer)


@dataclass(frozen=True, slots=True)
class Opened:
    """Seconds until each had its picture, and what each cost the relay, in seconds of its core."""

    took: list[float]
    each: float

    @property
    def p95(self) -> float:
        return statistics.quantiles(self.took, n=20)[-1] if len(self.took) > 1 else self.took[0]


def open_at_once(relay: Relay, count: int) -> Opened:
    before = sum(relay.cpu().values())
    began = time.perf_counter()
    consoles = [Console(relay, began) for _ in range(count)]
    with selectors.EpollSelector() as waiting:
        for console in consoles:
            waiting.register(console.socket, selectors.EVENT_WRITE, console)
        while waiting.get_map():
            for key, events in waiting.select(30):
                if events & selectors.EVENT_WRITE:
                    key.data.connected()
                    waiting.modify(key.fileobj, selectors.EVENT_READ, key.data)
                elif key.data.read():
                    waiting.unregister(key.fileobj)
    spent = (sum(relay.cpu().values()) - before) / 1e9
    for console in consoles:
        console.socket.close()
    return Opened([console.took for console in consoles], spent / count)


def serve_machines(path: str, picture_after: float = 0.0) -> None:
    """A VNC-like server for any number of consoles in one thread; its first picture comes after so many seconds.

    Does not return.
    """
    steps = ((b"RFB 003.008\n", 12), (b"\x01\x01", 1), (bytes(4), 1), (SERVER_INIT, 64))
    picture = struct.pack(">BxHHHHHi", 0, 1, 0, 0, 4, 4, 0).ljust(FRAME, b"\x7f")
    waiting = selectors.EpollSelector()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(1024)
    listener.setblocking(False)
    waiting.register(listener, selectors.EVENT_READ)
    due: list[tuple[float, socket.socket]] = []  # in order: each waits equally long
    while True:
        pause = max(0.0, due[0][0] - time.perf_counter()) if due else None
        for key, _ in waiting.select(pause):
            if key.fileobj is listener:
                connection, _ = listener.accept()
                connection.sendall(steps[0][0])
                waiting.register(connection, selectors.EVENT_READ, [0, steps[0][1]])
                continue
            connection = key.fileobj  # type: ignore[assignment]
            data = connection.recv(4096)
            if not data:
                waiting.unregister(connection)
                due = [one for one in due if one[1] is not connection]
                connection.close()
                continue
            state = key.data
            state[1] -= len(data)
            if state[1] > 0:
                continue
            state[0] += 1
            if state[0] < len(steps):
                connection.sendall(steps[state[0]][0])
                state[1] = steps[state[0]][1]
            else:
                state[1] = 1 << 30
                due.append((time.perf_counter() + picture_after, connection))
        while due and due[0][0] <= time.perf_counter():
            due.pop(0)[1].sendall(picture)
