"""SPICE through the console gateway, in the browser and native, beside socat and websockify in the same run.

    python -m tests.bench.spice [--quick]

As `gateway.py` does it for VNC: the relay alone on the first core, client and server on the second, rounds in turns,
the best ones compared. What is carried is a display channel whose session has its main channel open beside it. Idle is
counted in channels, since each is a connection: a session has four of them or more.

Native clients come by CONNECT; with TLS it is the gateway that ends it within the CONNECT, as where something is
withheld (else it passes what it cannot read, which costs what plain costs). The baselines know of no CONNECT.
"""

import argparse
import json
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.gateway import (
    CLIENT_CORE,
    ROOT,
    Relay,
    active,
    bars,
    baselines,
    bulk,
    free_port,
    make_certificate,
    show,
    start_as_a_browser,
    trusting,
)
from tests.bench.gateway_ends import MIB
from tests.bench.spice_ends import CHANNELS, Display, serve_gateway, serve_spice, sessions

WAYS = {"browser": "websocket", "native": "connect", "websockify": "websocket", "socat": "plain"}
OURS = {"browser": "SPICE in the browser", "native": "SPICE by CONNECT"}


class SpiceRelay(Relay):
    """A relay whose streams are the displays of sessions of their own."""

    def __init__(self, name: str, command: list[str], port: int, tls: ssl.SSLContext | None):
        self.way = WAYS[name]
        super().__init__(name, command, port, websocket=self.way == "websocket", tls=tls)

    def stream(self) -> Display:
        return Display(self.port, way=self.way, tls=self.tls)

    def idle_and_open(self, count: int) -> tuple[float, float]:
        """KiB per idle channel, beyond a first session; and the best time in which 200 channels are opened."""
        first = sessions(self.port, 1, way=self.way, tls=self.tls)
        time.sleep(0.3)
        base, each, times = self.pss(), 0.0, []
        for number in range(3):
            began = time.perf_counter()
            channels = sessions(self.port, count // len(CHANNELS), way=self.way, tls=self.tls)
            times.append(time.perf_counter() - began)
            if not number:
                time.sleep(0.3)
                each = (self.pss() - base) / len(channels)
            for channel in channels:
                channel.socket.close()
            time.sleep(0.5)
        for channel in first:
            channel.socket.close()
        return round(each, 1), round(min(times) * 200 / count, 3)


def start(backend: str, cert: str) -> dict[str, SpiceRelay]:
    ours = [sys.executable, "-m", "tests.bench.spice", "--path", backend, "--cert", cert]
    commands = {name: lambda port, name=name: [*ours, "--role", name, "--port", str(port)] for name in OURS}
    commands |= baselines(backend, cert)
    relays: dict[str, SpiceRelay] = {}
    try:
        for name, command in commands.items():
            port = free_port()
            relays[name] = SpiceRelay(name, command(port), port, trusting(cert))
    except BaseException:
        for relay in relays.values():
            relay.stop()
        raise
    return relays


def measure(relays: dict[str, SpiceRelay], *, rounds: int, size: int, seconds: float) -> dict[str, dict[str, Any]]:
    """By our ways, each beside the same baselines."""
    idle = {name: relays[name].idle_and_open(200 if name in OURS else 40) for name in (*OURS, "websockify")}
    rates: dict[str, list[float]] = {name: [] for name in relays}
    per_core: dict[str, list[float]] = {name: [] for name in relays}
    names = list(relays)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            rate, by_core = bulk(relays[name], size)
            rates[name].append(rate)
            per_core[name].append(by_core)
    shares: dict[str, list[float]] = {name: [] for name in (*OURS, "websockify")}
    for _ in range(3):
        for name, values in shares.items():
            values.append(active(relays[name], 20, seconds))
    # What else the machine does only ever slows a relay down: the best round is the least disturbed one.
    found = {
        "bulk_mib_s": {name: round(max(values)) for name, values in rates.items()},
        "bulk_core_mib_s": {name: round(max(values)) for name, values in per_core.items()},
        "bulk_median_mib_s": {name: round(statistics.median(values)) for name, values in rates.items()},
        "cpu_20_active": {name: round(min(values), 4) for name, values in shares.items()},
        "idle_kib": {name: kib for name, (kib, _) in idle.items()},
        "open_200_s": {name: took for name, (_, took) in idle.items()},
    }
    return {ours: {"unit": "channel"} | {key: _beside(values, ours) for key, values in found.items()} for ours in OURS}


def _beside(values: dict[str, Any], ours: str) -> dict[str, Any]:
    """One of our ways, under the name that the bars know it by, and the baselines."""
    return {"gateway": values[ours]} | {name: value for name, value in values.items() if name not in OURS}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--role", default="")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--path", default="")
    parser.add_argument("--cert", default="")
    options = parser.parse_args()
    if options.role == "server":
        serve_spice(options.path)
    if options.role:
        serve_gateway(options.port, options.path, options.cert, native=options.role == "native")
        return 0
    if not os.environ.pop("OPENSSL_CONF", ""):  # this program has read it; the relays must not
        start_as_a_browser("tests.bench.spice")
    rounds, seconds, size = (4, 1.0, 128 * MIB) if options.quick else (9, 2.0, 256 * MIB)
    os.sched_setaffinity(0, {CLIENT_CORE})
    results = {}
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as name:
        scratch = Path(name)
        make_certificate(scratch)
        backend = str(scratch / "server")
        machine = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.spice", "--role", "server", "--path", backend], cwd=ROOT
        )
        try:
            while not Path(backend).exists():
                time.sleep(0.05)
            for title, cert in (("plain", ""), ("TLS", str(scratch / "cert.pem"))):
                relays = start(backend, cert)
                try:
                    found = measure(relays, rounds=rounds, size=size, seconds=seconds)
                finally:
                    for relay in relays.values():
                        relay.stop()
                for ours, told in found.items():
                    results[f"{OURS[ours]}, {title}"] = told
                    show(f"{OURS[ours]}, {title}", told)
        finally:
            machine.kill()
            machine.wait()
    if target := os.environ.get("BENCH_JSON"):
        Path(target).write_text(json.dumps({"gateway": results}, indent=1))
    return 0 if all(met for result in results.values() for *_, met in bars(result)) else 1


if __name__ == "__main__":
    sys.exit(main())
