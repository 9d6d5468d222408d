"""How soon the second `make run` answers, and what all its processes take while nothing happens.

    python -m tests.lab.cage -- python -m tests.bench.idle [--quick]

`make run` with the small image over a private libvirtd: once until the demo is complete and its desktop runs, then
again, measured, the installer's look at the machine included. Memory is the sum of all processes of that command
(proportional set size); libvirtd and QEMU are not among them. Nobody is signed in; one minute passes before the
figures are taken, and the sign-in page has been asked for. The bare figures beside are a Python process that has
Django with these settings loaded, and how long it takes to. Prints a Markdown table; JSON where BENCH_JSON says.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
READY_BAR, MEMORY_BAR = 5.0, 350.0
DEMO_SECONDS = 240.0
BARE = "import django; django.setup(); import sys; sys.stdout.write('up\\n'); sys.stdout.flush(); sys.stdin.read()"


class Server:
    """One `make run`."""

    def __init__(self, folder: Path, uri: str):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.log = folder / "serve.log"
        environment = {**os.environ, "BERTH_DATA_DIR": str(folder / "data"), "BERTH_LISTEN": f"127.0.0.1:{self.port}",
                       "BERTH_DEBUG": "0"}  # fmt: skip
        environment = {name: value for name, value in environment.items() if name not in _SERVERS}
        command = ["make", "--silent", "run", f"ARGS=--image tiny --host-uri {uri}"]
        self.began = time.perf_counter()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def until(self, path: str, timeout: float) -> float:
        """Seconds from the start of the process until `path` is answered with 200."""
        while time.perf_counter() - self.began < timeout:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                    answer.read()
                    return time.perf_counter() - self.began
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                self._alive()
                time.sleep(0.01)
        raise TimeoutError(f"{path} is not answered:\n{self.said()}")

    def until_said(self, text: str, timeout: float) -> None:
        while text not in self.said():
            self._alive()
            if time.perf_counter() - self.began > timeout:
                raise TimeoutError(f"“{text}” was not said:\n{self.said()}")
            time.sleep(0.1)

    def _alive(self) -> None:
        if self.process.poll() is not None:
            raise RuntimeError(f"the server ended with {self.process.returncode}:\n{self.said()}")

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


_SERVERS = ("BERTH_DATABASE_URL", "BERTH_BROKER_URL", "BERTH_REDIS_URL")


def tree(pid: int) -> list[int]:
    """The process and all below it."""
    found, todo = [], [pid]
    while todo:
        found.append(pid := todo.pop())
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            todo += map(int, task.read_text().split())
    return found


def memory(pids: list[int], field: str) -> float:
    """The sum of a field ("Pss", "Rss") of smaps_rollup, in MiB."""
    total = 0
    for pid in pids:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
    return total / 1024


def cpu(pids: list[int]) -> float:
    """Seconds of processor time so far, with that of children that ended (proc(5), stat)."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def bare(folder: Path) -> dict[str, float]:
    """The same of a process that only loads Django with our settings and apps."""
    environment = {**os.environ, "BERTH_DATA_DIR": str(folder / "data"), "DJANGO_SETTINGS_MODULE": "broker.settings"}
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", BARE], cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stdin
        process.stdout.readline()
        taken = time.perf_counter() - began
        told = {"ready_s": taken, "pss_mib": memory([process.pid], "Pss")}
        process.stdin.close()
    return told


def measure(*, idle: float, rounds: int) -> dict[str, Any]:
    from tests.lab.host import LabHost

    with tempfile.TemporaryDirectory(prefix="idle-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with LabHost(folder, "host") as host:
            server = Server(folder, host.uri)
            try:
                server.until_said("waits for its user", DEMO_SECONDS)
            finally:
                server.stop()
            bares, ready, page = [], [], []
            for number in range(rounds):
                bares.append(bare(folder))
                server = Server(folder, host.uri)
                try:
                    ready.append(server.until("/healthz", 60))
                    page.append(server.until("/sign-in", 60))
                    if number == rounds - 1:
                        resting = _rest(server, idle)
                finally:
                    server.stop()
    return {
        "healthz_s": ready, "sign_in_s": page, "bare_s": [one["ready_s"] for one in bares],
        "bare_pss_mib": bares[-1]["pss_mib"], **resting, "bars": [],
    }  # fmt: skip


def _rest(server: Server, seconds: float) -> dict[str, Any]:
    """What the processes take after so many seconds of nothing, and how much of a core in the last half of them."""
    time.sleep(seconds / 2)
    early = tree(server.process.pid)
    before, began = {pid: cpu([pid]) for pid in early}, time.perf_counter()
    time.sleep(seconds / 2)
    pids = [pid for pid in tree(server.process.pid) if pid in before]  # a helper that comes and goes is not idle memory
    used = sum(cpu([pid]) - before[pid] for pid in pids) / (time.perf_counter() - began)
    each = {f"{_name(pid)} {pid}": round(memory([pid], "Pss"), 1) for pid in pids}
    return {"pss_mib": memory(pids, "Pss"), "rss_mib": memory(pids, "Rss"), "cores": used, "processes": each}


def _name(pid: int) -> str:
    """The first words of a command line that are not options or paths."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    return " ".join(word.rpartition("/")[2] for word in words[:3] if not word.startswith("-"))


def bars(result: dict[str, Any]) -> list[dict[str, Any]]:
    page, memory_used = min(result["sign_in_s"]), result["pss_mib"]
    return [
        {
            "what": "Second `make run` until the sign-in page answers, against loading Django with the same settings",
            "ours": f"{page:.1f} s (/healthz {min(result['healthz_s']):.1f} s)",
            "baseline": f"{min(result['bare_s']):.1f} s", "value": f"{page:.1f} s", "bar": f"≤ {READY_BAR:g} s",
            "met": page <= READY_BAR,
        },
        {
            "what": f"All {len(result['processes'])} processes, idle (PSS), against one that has Django loaded",
            "ours": f"{memory_used:.0f} MiB ({100 * result['cores']:.1f} % of a core)",
            "baseline": f"{result['bare_pss_mib']:.0f} MiB", "value": f"{memory_used:.0f} MiB",
            "bar": f"≤ {MEMORY_BAR:g} MB", "met": memory_used * 1.048576 <= MEMORY_BAR,
        },
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="rest for ten seconds only, one start")
    options = parser.parse_args()
    result = measure(idle=10 if options.quick else 60, rounds=1 if options.quick else 3)
    result["bars"] = bars(result)
    from tests.bench.report import table

    print(table(result["bars"]))
    print(f"\nProcesses: {result['processes']}; RSS {result['rss_mib']:.0f} MiB")
    if target := os.environ.get("BENCH_JSON"):
        Path(target).write_text(json.dumps(result, indent=1))
    return 0 if all(line["met"] for line in result["bars"]) else 1


if __name__ == "__main__":
    sys.exit(main())
