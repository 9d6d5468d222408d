"""A hundred consoles at once of real machines: QEMU's own VNC servers, several consoles at each, and nothing between.

    python -m tests.bench.real_pictures [--quick]

The machines are QEMUs with the 512-byte guest on unix sockets. The same client opens the consoles through the gateway
and straight at the sockets, in turns, alone and all at once, each until its first picture is whole (ZRLE). QEMUs and
client share the second core; the gateway has the first. How long they wait for QEMU itself, the direct way shows.
"""

import argparse
import json
import os
import selectors
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.gateway import CLIENT_CORE, Relay, free_port
from tests.bench.gateway_ends import UPGRADE, serve_gateway
from tests.bench.report import bar_line
from tests.lab.guest import write_image

MACHINES, CONSOLES = 25, 100
_ZRLE = 16
_ASK = struct.pack(">BxHi", 2, 1, _ZRLE)
SECONDS = 60.0


class Console:
    """The client's end until the first picture is whole; `took` is set then."""

    def __init__(self, where: int | str, began: float):
        self.began, self.took = began, 0.0
        self.websocket = isinstance(where, int)
        self._wire, self._data = bytearray(), bytearray()
        self._upgraded = not self.websocket
        self._steps = self._conversation()
        next(self._steps)
        self.socket = socket.socket(socket.AF_INET if self.websocket else socket.AF_UNIX)
        self.socket.connect(("127.0.0.1", where) if self.websocket else where)
        self.socket.setblocking(False)
        if self.websocket:
            self.socket.send(UPGRADE)

    def read(self) -> bool:
        """Whether the picture is there."""
        received = self.socket.recv(1 << 18)
        assert received, f"a console was closed: {bytes(self._data[-200:])!r}"
        if not self.websocket:
            self._data += received
        else:
            self._wire += received
            if not self._upgraded:
                head, end, rest = bytes(self._wire).partition(b"\r\n\r\n")
                if not end:
                    return False
                assert head.startswith(b"HTTP/1.1 101"), head
                self._upgraded, self._wire = True, bytearray(rest)
            self._unframe()
        try:
            self._steps.send(None)
        except StopIteration:
            self.took = time.perf_counter() - self.began
        return self.took > 0

    def _unframe(self) -> None:
        """Move the payload of whole frames over (frames of a server have no mask)."""
        while len(self._wire) >= 2:
            size, wide = self._wire[1] & 0x7F, {126: 2, 127: 8}.get(self._wire[1] & 0x7F, 0)
            if wide:
                size = int.from_bytes(self._wire[2 : 2 + wide], "big")
            if len(self._wire) < 2 + wide + size:
                return
            self._data += self._wire[2 + wide : 2 + wide + size]
            del self._wire[: 2 + wide + size]

    def _say(self, data: bytes) -> None:
        self.socket.send(struct.pack(">BB4x", 0x82, 0x80 | len(data)) + data if self.websocket else data)

    def _conversation(self) -> Any:
        """Yields while more must come before the next word."""

        def taken(count: int) -> Any:
            while len(self._data) < count:
                yield
            part = bytes(self._data[:count])
            del self._data[:count]
            return part

        yield
        yield from taken(12)
        self._say(b"RFB 003.008\n")
        yield from taken(2)
        self._say(b"\x01")
        yield from taken(4)
        self._say(b"\x01")
        width, height, _, name = struct.unpack(">HH16sI", (yield from taken(24)))
        yield from taken(name)
        self._say(_ASK + struct.pack(">BBHHHH", 3, 0, 0, 0, width, height))
        _, rectangles = struct.unpack(">HH", (yield from taken(4)))
        for _ in range(rectangles):
            *_, encoding = struct.unpack(">HHHHi", (yield from taken(12)))
            assert encoding == _ZRLE, encoding
            (size,) = struct.unpack(">I", (yield from taken(4)))
            yield from taken(size)


def pictures(places: list[int | str]) -> list[float]:
    """Seconds until each had its first picture, all asked for at once."""
    began = time.perf_counter()
    consoles = [Console(place, began) for place in places]
    with selectors.EpollSelector() as waiting:
        for console in consoles:
            waiting.register(console.socket, selectors.EVENT_READ, console)
        while waiting.get_map():
            ready = waiting.select(SECONDS)
            assert ready, f"{len(waiting.get_map())} consoles have no picture after {SECONDS:.0f} s"
            for key, _ in ready:
                if key.data.read():
                    waiting.unregister(key.fileobj)
    for console in consoles:
        console.socket.close()
    return [console.took for console in consoles]


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def machines(scratch: Path) -> tuple[list[subprocess.Popen[bytes]], list[str]]:
    image = write_image(scratch / "guest.img", period=0)
    found, paths = [], []
    for number in range(MACHINES):
        path = str(scratch / f"vnc{number}")
        command = ["qemu-system-x86_64", "-accel", "tcg,tb-size=8", "-m", "16", "-nodefaults", "-vga", "std",
                   "-drive", f"file={image},format=raw,snapshot=on", "-vnc", f"unix:{path},share=ignore"]  # fmt: skip
        found.append(subprocess.Popen(["taskset", "-c", str(CLIENT_CORE), *command], stdin=subprocess.DEVNULL))
        paths.append(path)
    deadline = time.monotonic() + SECONDS
    while not all(Path(path).exists() for path in paths):
        assert time.monotonic() < deadline, "QEMU does not start"
        time.sleep(0.1)
    time.sleep(3)  # until all have booted
    return found, paths


def measure(relay: Relay, paths: list[str], *, rounds: int) -> list[dict[str, Any]]:
    spread: list[int | str] = [paths[number % len(paths)] for number in range(CONSOLES)]
    ways: dict[str, list[int | str]] = {"gateway": [relay.port] * CONSOLES, "direct": spread}
    alone: dict[str, list[float]] = {name: [] for name in ways}
    many: dict[str, list[float]] = {name: [] for name in ways}
    spent = []
    for _ in range(rounds):
        for name, places in ways.items():
            for place in places[:5]:
                alone[name] += pictures([place])
                time.sleep(0.2)
            before = sum(relay.cpu().values())
            many[name].append(p95(pictures(places)))
            if name == "gateway":
                spent.append((sum(relay.cpu().values()) - before) / 1e9 / CONSOLES)
            time.sleep(1)
    # What else the machine does only ever slows them down: the best rounds are compared; of one alone, which waits for
    # QEMU's clock, the median.
    one, all_ = {name: statistics.median(found) for name, found in alone.items()}, {n: min(v) for n, v in many.items()}
    told = f"First picture of {CONSOLES} consoles at once of {MACHINES} QEMUs"
    ratio, beside = all_["gateway"] / one["gateway"], all_["gateway"] / all_["direct"]
    ours = f"{all_['gateway'] * 1000:.0f} ms ({min(spent) * 1000:.2f} ms of a core each)"
    alone_told = f"{one['gateway'] * 1000:.0f} ms alone; straight at QEMU {all_['direct'] * 1000:.0f} ms, "
    alone_told += f"alone {one['direct'] * 1000:.0f} ms"
    return [
        bar_line(f"{told}, p95 ÷ of one alone", ours, alone_told, f"{ratio:.2f}", "≤ 1.5", ratio <= 1.5),
        bar_line(f"{told}, p95 ÷ straight at QEMU's sockets", ours, f"{all_['direct'] * 1000:.0f} ms",
                 f"{beside:.2f}", "≤ 1.5", beside <= 1.5),
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--role", default="")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--path", nargs="*", default=[])
    options = parser.parse_args()
    if options.role == "gateway":
        serve_gateway(options.port, options.path, "", whole=True)
        return 0
    os.sched_setaffinity(0, {CLIENT_CORE})
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as name:
        running, paths = machines(Path(name))
        try:
            port = free_port()
            command = [sys.executable, "-m", "tests.bench.real_pictures", "--role", "gateway", "--port", str(port),
                       "--path", *paths]  # fmt: skip
            relay = Relay("gateway", command, port, websocket=True, tls=None)
            try:
                lines = measure(relay, paths, rounds=2 if options.quick else 5)
            finally:
                relay.stop()
        finally:
            for machine in running:
                machine.kill()
                machine.wait()
    for line in lines:
        print("| " + " | ".join([*map(str, list(line.values())[:5]), "pass" if line["met"] else "**miss**"]) + " |")
    if target := os.environ.get("BENCH_JSON"):
        Path(target).write_text(json.dumps({"bars": lines}, indent=1))
    return 0 if all(line["met"] for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
