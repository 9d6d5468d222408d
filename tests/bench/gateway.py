"""The console gateway beside socat and websockify, measured in the same run.

    python -m tests.bench.gateway [--quick]

Prints a Markdown table and writes JSON where BENCH_JSON says. Every relay stands between the same client and the
same backend: the relay alone on the first core, client and backend on the second. Rounds are interleaved and the
best ones compared, because the machine is never quiet (medians stand beside them in the JSON). The gateway redeems
its tickets from memory: what a database costs is not a property of the relay.

With TLS the client opens no record of bulk data, which would be slower than relaying it and so what is measured: it
reads the records' heads and lets the rest go. What a second of the relay's core carries stands beside.
"""

import argparse
import json
import os
import selectors
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from tests.bench.gateway_ends import MIB, SERVER_INIT, UPGRADE, Stream, serve_backend, serve_gateway

ROOT = Path(__file__).resolve().parents[2]
CLIENT_CORE, RELAY_CORE = 1, 0
# What browsers offer, in their order where the processor does AES; Python's ssl cannot set it, OpenSSL's file can.
CLIENT_CIPHERS = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
OPENSSL_CONF = f"""openssl_conf = all
[all]
ssl_conf = tls
[tls]
system_default = client
[client]
Ciphersuites = {CLIENT_CIPHERS}
"""


class Relay:
    """A relay under test as a process tree on its own core."""

    def __init__(self, name: str, command: list[str], port: int, *, websocket: bool, tls: ssl.SSLContext | None):
        self.name, self.port, self.websocket, self.tls = name, port, websocket, tls
        self.process = subprocess.Popen(
            ["taskset", "-c", str(RELAY_CORE), *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT
        )
        deadline = time.monotonic() + 15
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    self.stop()
                    raise TimeoutError(f"{name} did not start") from None
                time.sleep(0.05)

    def stream(self) -> Stream:
        return Stream(self.port, websocket=self.websocket, tls=self.tls)

    def tree(self) -> list[int]:
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                todo += map(int, task.read_text().split())
        return found

    def cpu(self) -> dict[str, int]:
        """Nanoseconds on a core so far, by thread (proc(5), schedstat): clock ticks are too coarse for small shares."""
        spent = {}
        for pid in self.tree():
            try:
                for task in Path(f"/proc/{pid}/task").iterdir():
                    spent[task.name] = int((task / "schedstat").read_text().split()[0])
            except (FileNotFoundError, ProcessLookupError):
                continue  # a child for a connection that was just closed
        return spent

    def pss(self) -> float:
        """Proportional set size of the tree in KiB."""
        total = 0
        for pid in self.tree():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        return total

    def stop(self) -> None:
        for pid in reversed(self.tree()):
            try:
                os.kill(pid, 15)
            except ProcessLookupError:
                continue
        try:
            self.process.wait(6)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def bulk(relay: Relay, size: int) -> tuple[float, float]:
    """MiB/s from machine to browser over one console: of time, and of the relay's own processor time."""
    stream = relay.stream().open()
    stream.order(4 * MIB)
    stream.drain(4 * MIB)
    before, started = relay.cpu(), time.perf_counter()
    stream.order(size)
    if relay.tls:
        stream.drain_sealed(size)
    else:
        stream.drain(size)
    took, after = time.perf_counter() - started, relay.cpu()
    stream.socket.close()
    return size / MIB / took, size / MIB / _spent(before, after)


def _spent(before: dict[str, int], after: dict[str, int]) -> float:
    """Seconds on a core between two looks."""
    return sum(spent - before.get(task, 0) for task, spent in after.items()) / 1e9


def open_many(relay: Relay, count: int) -> tuple[float, list[Stream]]:
    """Seconds until `count` consoles, all asked for at once, have sent their first RFB bytes."""
    started = time.perf_counter()
    streams = [relay.stream() for _ in range(count)]
    waiting = selectors.DefaultSelector()
    for stream in streams:
        stream.socket.sendall(UPGRADE)
        stream.socket.setblocking(False)
        waiting.register(stream.socket, selectors.EVENT_READ, [stream, b""])
    while waiting.get_map():
        for key, _ in waiting.select(20):
            stream, seen = key.data
            try:
                data = stream.socket.recv(4096)
            except (BlockingIOError, ssl.SSLWantReadError):
                continue
            assert data, f"{relay.name} closed a console: {seen!r}"
            key.data[1] = seen + data
            if b"RFB 003.008\n" in key.data[1]:
                waiting.unregister(stream.socket)
    took = time.perf_counter() - started
    for stream in streams:
        stream.socket.setblocking(True)
        stream.send(b"RFB 003.008\n")
        stream.take(2)
        stream.send(b"\x01")
        stream.take(4)
        stream.send(b"\x01")
        stream.take(len(SERVER_INIT))
    return took, streams


def active(relay: Relay, count: int, seconds: float) -> float:
    """CPU share of one core with `count` consoles, each 30 times a second 64 bytes up and 20 KiB down."""
    streams = [relay.stream().open() for _ in range(count)]
    before, started, beat = relay.cpu(), time.perf_counter(), 0
    while (now := time.perf_counter()) - started < seconds:
        if (pause := started + beat / 30 - now) > 0:
            time.sleep(pause)
        for stream in streams:
            stream.order(20 * 1024)
        for stream in streams:
            stream.drain(20 * 1024)
        beat += 1
    took, after = time.perf_counter() - started, relay.cpu()
    share = _spent(before, after) / took
    for stream in streams:
        stream.socket.close()
    return share


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def trusting(cert: str) -> ssl.SSLContext | None:
    """A client's TLS for any certificate; none where there is none."""
    if not cert:
        return None
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    return trust


def baselines(backend: str, cert: str) -> dict[str, Callable[[int], list[str]]]:
    """What relays the same beside ours, by the port to listen on."""
    listen = f"OPENSSL-LISTEN:%d,cert={cert},verify=0" if cert else "TCP-LISTEN:%d"
    return {
        "websockify": lambda port: [sys.executable, "-m", "websockify", *(["--cert", cert] if cert else []),
                                    f"127.0.0.1:{port}", "--unix-target", backend],
        "socat": lambda port: ["socat", "-b", "131072", listen % port + ",reuseaddr,fork,bind=127.0.0.1,nodelay",
                               f"UNIX-CONNECT:{backend}"],
    }  # fmt: skip


def start_relays(scratch: Path, backend: str, *, tls: bool) -> list[Relay]:
    cert = str(scratch / "cert.pem") if tls else ""
    commands = {"gateway": lambda port: [sys.executable, "-m", "tests.bench.gateway", "--role", "gateway",
                                         "--port", str(port), "--path", backend, "--cert", cert],
                **baselines(backend, cert)}  # fmt: skip
    relays: list[Relay] = []
    try:
        for name, command in commands.items():
            port = free_port()
            relays.append(Relay(name, command(port), port, websocket=name != "socat", tls=trusting(cert)))
    except BaseException:
        for relay in relays:
            relay.stop()
        raise
    return relays


def idle_and_open(relay: Relay, count: int) -> tuple[float, float]:
    """KiB per idle console beyond the first, on a fresh relay; and the best time in which 200 are opened."""
    first = relay.stream().open()
    time.sleep(0.3)
    base = relay.pss()
    took, streams = open_many(relay, count)
    time.sleep(0.3)
    each = (relay.pss() - base) / count
    times = [took]
    for _ in range(2):
        for stream in streams:
            stream.socket.close()
        time.sleep(0.5)
        took, streams = open_many(relay, count)
        times.append(took)
    for stream in [*streams, first]:
        stream.socket.close()
    return round(each, 1), round(min(times) * 200 / count, 3)


def measure(relays: list[Relay], *, rounds: int, size: int, seconds: float) -> dict[str, Any]:
    by_name = {relay.name: relay for relay in relays}
    result: dict[str, Any] = {"bulk_mib_s": {}, "cpu_20_active": {}, "idle_kib": {}, "open_200_s": {}}
    for name, count in (("gateway", 200), ("websockify", 40)):
        result["idle_kib"][name], result["open_200_s"][name] = idle_and_open(by_name[name], count)
    rates: dict[str, list[float]] = {name: [] for name in by_name}
    per_core: dict[str, list[float]] = {name: [] for name in by_name}
    for number in range(rounds):
        for relay in relays[number % 3 :] + relays[: number % 3]:
            rate, by_core = bulk(relay, size)
            rates[relay.name].append(rate)
            per_core[relay.name].append(by_core)
    shares: dict[str, list[float]] = {"gateway": [], "websockify": []}
    for _ in range(3):
        for name in shares:
            shares[name].append(active(by_name[name], 20, seconds))
    # What else the machine does only ever slows a relay down: the best round is the least disturbed one.
    result["bulk_mib_s"] = {name: round(max(values)) for name, values in rates.items()}
    result["bulk_core_mib_s"] = {name: round(max(values)) for name, values in per_core.items()}
    result["bulk_median_mib_s"] = {name: round(statistics.median(values)) for name, values in rates.items()}
    result["cpu_20_active"] = {name: round(min(values), 4) for name, values in shares.items()}
    return result


def bars(result: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """(what, ours beside the baselines, bar, met). A "unit" in the result is what is counted, if not consoles."""
    rate, cpu, unit = result["bulk_mib_s"], result["cpu_20_active"], result.get("unit", "console")
    checks: list[tuple[str, Callable[[], float], str, Callable[[float], bool]]] = [
        ("bulk ÷ socat", lambda: rate["gateway"] / rate["socat"], "≥ 0.85", lambda v: v >= 0.85),
        ("bulk ÷ websockify", lambda: rate["gateway"] / rate["websockify"], "≥ 1.5", lambda v: v >= 1.5),
        (f"KiB per idle {unit}", lambda: result["idle_kib"]["gateway"], "≤ 60", lambda v: v <= 60),
        (f"200 {unit}s opened, s", lambda: result["open_200_s"]["gateway"], "≤ 0.5", lambda v: v <= 0.5),
        ("CPU at 20 active ÷ websockify", lambda: cpu["gateway"] / cpu["websockify"], "≤ 0.6", lambda v: v <= 0.6),
    ]
    return [(what, f"{value():.2f}", bar, met(value())) for what, value, bar, met in checks]


def show(title: str, result: dict[str, Any]) -> None:
    unit = result.get("unit", "console")
    print(f"\n### Console gateway, {title}\n")
    print("| | gateway | websockify | socat |\n|---|---|---|---|")
    labels = {"bulk_mib_s": "bulk, MiB/s", "bulk_core_mib_s": "bulk, MiB by second of its core",
              "cpu_20_active": "CPU at 20 active, cores",
              "idle_kib": f"KiB per idle {unit}", "open_200_s": f"200 {unit}s opened, s"}  # fmt: skip
    for key, label in labels.items():
        print(
            f"| {label} | "
            + " | ".join(str(result[key].get(n, "–")) for n in ("gateway", "websockify", "socat"))
            + " |"
        )
    print("\n| bar | measured | wanted | |\n|---|---|---|---|")
    for what, value, bar, met in bars(result):
        print(f"| {what} | {value} | {bar} | {'met' if met else '**missed**'} |")


def make_certificate(scratch: Path) -> None:
    """Key and certificate in one file, as websockify and socat want them: cert.pem."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", "cert.pem", "-out", "crt.pem", "-days", "2",
         "-subj", "/CN=localhost"], check=True, capture_output=True, cwd=scratch,
    )  # fmt: skip
    (scratch / "cert.pem").write_text((scratch / "cert.pem").read_text() + (scratch / "crt.pem").read_text())


def start_as_a_browser(module: str) -> NoReturn:
    """Become this module's program anew, with a browser's ciphers: OpenSSL reads its file when it is loaded."""
    file = os.memfd_create("openssl.cnf", 0)
    os.write(file, OPENSSL_CONF.encode())
    command = [sys.executable, "-m", module, *sys.argv[1:]]
    os.execve(sys.executable, command, os.environ | {"OPENSSL_CONF": f"/proc/self/fd/{file}"})


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--role", default="")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--path", default="")
    parser.add_argument("--cert", default="")
    options = parser.parse_args()
    if options.role == "backend":
        serve_backend(options.path)
    if options.role == "gateway":
        serve_gateway(options.port, options.path, options.cert)
    if options.role:
        return 0
    if not os.environ.pop("OPENSSL_CONF", ""):  # this program has read it; the relays must not
        start_as_a_browser("tests.bench.gateway")
    rounds, seconds, size = (4, 1.0, 128 * MIB) if options.quick else (9, 2.0, 256 * MIB)
    os.sched_setaffinity(0, {CLIENT_CORE})
    results = {}
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as name:
        scratch = Path(name)
        make_certificate(scratch)
        backend = str(scratch / "backend")
        machine = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.gateway", "--role", "backend", "--path", backend], cwd=ROOT
        )
        try:
            while not Path(backend).exists():
                time.sleep(0.05)
            for title, tls in (("plain", False), ("TLS", True)):
                relays = start_relays(scratch, backend, tls=tls)
                try:
                    results[title] = measure(relays, rounds=rounds, size=size, seconds=seconds)
                finally:
                    for relay in relays:
                        relay.stop()
                show(title, results[title])
        finally:
            machine.kill()
            machine.wait()
    if target := os.environ.get("BENCH_JSON"):
        Path(target).write_text(json.dumps({"gateway": results}, indent=1))
    return 0 if all(met for title, result in results.items() for *_, met in bars(result)) else 1


if __name__ == "__main__":
    sys.exit(main())
