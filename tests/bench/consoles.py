"""What consoles cost beside plain relaying: recorded, only looked at, very many of them, and all at once.

    python -m tests.bench.consoles [--quick]

Each is our own gateway beside our own gateway without it, on the same core in turns (`gateway.py` has the others).

- Recorded: bursts as long as may wait for the disk, each after the last was written; at the end all of it must be in
  the file, so that a recording that gave up cannot look fast.
- At once: seconds until the picture that a console asks for first, of one alone and of a hundred asked for in the same
  moment (`first_pictures.py`), behind a machine that answers at once and behind one that takes its time as QEMU does;
  what websockify and socat make of the hundred stands beside.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.first_pictures import FRAME, Opened, open_at_once, serve_machines
from tests.bench.gateway import CLIENT_CORE, ROOT, Relay, free_port, open_many
from tests.bench.gateway_ends import MIB, serve_backend, serve_gateway
from tests.bench.report import bar_line

BURST = 8 * MIB
IDLE, ACTIVE, AT_ONCE = 1000, 50, 100
BEATS = 30
"""Pictures a second of an active console."""
QEMU_TAKES = 0.09
"""Seconds from connecting to QEMU 7.2's own socket to its first picture; 84 to 118 ms were measured."""


def start(backend: str, *more: str) -> Relay:
    port = free_port()
    name = " ".join(more) or "plain"
    command = [sys.executable, "-m", "tests.bench.consoles", "--role", "gateway", "--port", str(port),
               "--path", backend, *more]  # fmt: skip
    return Relay(name, command, port, websocket=True, tls=None)


def bursts(relays: list[Relay], rounds: int, pause: float) -> dict[str, float]:
    """MiB/s of the best burst of each, in turns."""
    streams = {relay.name: relay.stream().open() for relay in relays}
    rates: dict[str, list[float]] = {name: [] for name in streams}
    for _ in range(rounds):
        for name, stream in streams.items():
            began = time.perf_counter()
            stream.order(BURST)
            stream.drain(BURST)
            rates[name].append(BURST / MIB / (time.perf_counter() - began))
            time.sleep(pause)
    for stream in streams.values():
        stream.socket.close()
    return {name: round(max(values)) for name, values in rates.items()}


def written(directory: Path, wanted: int) -> None:
    """Wait for the recording's end; raises ValueError where it does not hold what was shown."""
    deadline = time.monotonic() + 20
    while not (ends := list(directory.glob("*.end"))):
        if time.monotonic() > deadline:
            raise ValueError("the recording did not end")
        time.sleep(0.05)
    why, size = ends[0].read_text().split()
    if why != "finished" or int(size) < wanted:
        raise ValueError(f"the recording is not whole: {why}, {size} bytes")


def crowd(relay: Relay, seconds: float) -> tuple[float, float]:
    """MiB and share of a core of a gateway with many idle and some active consoles: 12 MB a second for each twenty."""
    idle = [stream for _ in range(IDLE // 100) for stream in open_many(relay, 100)[1]]
    busy = open_many(relay, ACTIVE)[1]
    before, began, beat = sum(relay.cpu().values()), time.perf_counter(), 0
    most = 0.0
    while (now := time.perf_counter()) - began < seconds:
        if (pause := began + beat / BEATS - now) > 0:
            time.sleep(pause)
        for stream in busy:
            stream.order(FRAME)
        for stream in busy:
            stream.drain(FRAME)
        beat += 1
        if beat % BEATS == 0:
            most = max(most, relay.pss() / 1024)
    share = (sum(relay.cpu().values()) - before) / 1e9 / (time.perf_counter() - began)
    for stream in [*idle, *busy]:
        stream.socket.close()
    return round(max(most, relay.pss() / 1024), 1), round(share, 3)


def at_once(backend: str, rounds: int, behind: str = "") -> dict[str, Any]:
    """The first pictures of a hundred consoles beside that of one, and beside what other relays do of it.

    `behind`: what machine it is.
    """
    relays = [start(backend, "--whole"), *others(backend)]
    ours = relays[0]
    try:
        singles = [open_at_once(ours, 1).p95 for _ in range(8 * rounds)]
        many: dict[str, list[Opened]] = {relay.name: [] for relay in relays}
        for number in range(rounds):
            for relay in relays[number % 3 :] + relays[: number % 3]:
                many[relay.name].append(open_at_once(relay, AT_ONCE))
                time.sleep(0.3)
    finally:
        for relay in relays:
            relay.stop()
    # The best rounds are compared: what else the machine does only ever slows them down.
    best = {name: min(values, key=lambda one: one.p95) for name, values in many.items()}
    one, our = min(singles), best.pop(ours.name)
    beside = ", ".join(f"{name} {value.p95 * 1000:.0f} ms" for name, value in best.items())
    told = f"{our.p95 * 1000:.0f} ms ({our.each * 1000:.2f} ms of a core each)"
    return bar_line(
        f"First picture of {AT_ONCE} consoles at once{behind}, p95 ÷ of one alone", told,
        f"{one * 1000:.1f} ms alone; {AT_ONCE} at once by {beside}", f"{our.p95 / one:.1f}", "≤ 1.5",
        our.p95 / one <= 1.5,
    )  # fmt: skip


def others(backend: str) -> list[Relay]:
    ports = free_port(), free_port()
    websockify = [sys.executable, "-m", "websockify", f"127.0.0.1:{ports[0]}", "--unix-target", backend]
    socat = ["socat", "-b", "131072", f"TCP-LISTEN:{ports[1]},reuseaddr,fork,bind=127.0.0.1,nodelay,backlog=1024",
             f"UNIX-CONNECT:{backend}"]  # fmt: skip
    return [
        Relay("websockify", websockify, ports[0], websocket=True, tls=None),
        Relay("socat", socat, ports[1], websocket=False, tls=None),
    ]


def measure(scratch: Path, backends: dict[str, str], *, quick: bool) -> list[dict[str, Any]]:
    backend = backends["backend"]
    rounds = 4 if quick else 16
    lines = []
    tapes = scratch / "tapes"
    tapes.mkdir()
    for title, more, bar in (("recorded", ("--record", str(tapes)), 0.7), ("only looked at", ("--view-only",), 0.9)):
        relays = [start(backend), start(backend, *more)]
        try:
            recorded = more[0] == "--record"
            rates = bursts(relays, rounds if recorded else 4 * rounds, 0.6 if recorded else 0.05)
            if recorded:
                written(tapes, rounds * BURST)
        finally:
            for relay in relays:
                relay.stop()
        plain, ours = rates["plain"], rates[relays[1].name]
        lines.append(
            bar_line(f"Console {title}: bursts of 8 MiB ÷ the same without", f"{ours} MiB/s", f"{plain} MiB/s",
                 f"{ours / plain:.2f}", f"≥ {bar}", ours / plain >= bar)
        )  # fmt: skip
    relay = start(backend, "--whole")
    try:
        size, share = crowd(relay, 3 if quick else 8)
        told = f"One gateway process, {IDLE} idle and {ACTIVE} active consoles ({BEATS} × 20 KiB a second each)"
        lines.append(bar_line(f"{told}: memory", f"{size} MiB", "", f"{size} MiB", "≤ 120 MB", size <= 114.4))
        carried = f"{share:.3f} ({ACTIVE * BEATS * FRAME / 1e6:.0f} MB/s)"
        lines.append(bar_line(f"{told}: of a core", carried, "", f"{share:.3f}", "≤ 0.25", share <= 0.25))
    finally:
        relay.stop()
    pictures = 2 if quick else 5
    slow = f" behind a machine that takes {QEMU_TAKES * 1000:.0f} ms, as QEMU does"
    return [*lines, at_once(backends["machines"], pictures), at_once(backends["slow-machines"], pictures, slow)]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--role", default="")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--path", default="")
    parser.add_argument("--record", default="")
    parser.add_argument("--view-only", action="store_true")
    parser.add_argument("--whole", action="store_true")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    if options.role == "gateway":
        serve_gateway(
            options.port, options.path, "",
            record_to=options.record, view_only=options.view_only, whole=options.whole,
        )  # fmt: skip
        return 0
    if options.role == "backend":
        serve_backend(options.path)
    if options.role in ("machines", "slow-machines"):
        serve_machines(options.path, QEMU_TAKES if options.role == "slow-machines" else 0.0)
    os.sched_setaffinity(0, {CLIENT_CORE})
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as name:
        paths = {role: str(Path(name) / role) for role in ("backend", "machines", "slow-machines")}
        machines = [
            subprocess.Popen([sys.executable, "-m", "tests.bench.consoles", "--role", role, "--path", path], cwd=ROOT)
            for role, path in paths.items()
        ]
        try:
            while not all(Path(path).exists() for path in paths.values()):
                time.sleep(0.05)
            lines = measure(Path(name), paths, quick=options.quick)
        finally:
            for machine in machines:
                machine.kill()
                machine.wait()
    print("| what | ours | baseline | ratio or figure | bar | |\n|---|---|---|---|---|---|")
    for one in lines:
        print("| " + " | ".join([*map(str, list(one.values())[:5]), "pass" if one["met"] else "**miss**"]) + " |")
    if target := os.environ.get("BENCH_JSON"):
        Path(target).write_text(json.dumps({"bars": lines}, indent=1))
    return 0 if all(one["met"] for one in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
