"""A place for agents to be tested in: directories that are storages, processes that look like QEMU, a manager."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from broker.virt.agent import lease, wire

ROOT = Path(__file__).resolve().parents[3]
STATUS = """<domstatus state='running' pid='{pid}'><domain><name>{name}</name><uuid>{uuid}</uuid>
<metadata>{metadata}</metadata><devices><disk type='file'><source file='{file}'/></disk></devices></domain></domstatus>
"""
OURS = "<b:machine xmlns:b='urn:berth:machine:1' id='x'/>"
SECRET = "s" * 43


def wait_for(what: Callable[[], Any], *, timeout: float = 30) -> Any:
    """What `what` returns as soon as it is true."""
    deadline = time.monotonic() + timeout
    while not (found := what()):
        assert time.monotonic() < deadline, f"{what} did not come true"
        time.sleep(0.05)
    return found


class Manager:
    """Takes reports and gives orders, or is not there."""

    def __init__(self) -> None:
        self.reports: list[dict[str, Any]] = []
        self.orders: dict[str, Any] = {}
        self.lies = False
        manager = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert wire.fits(SECRET, "report", body, self.headers[wire.HEADER])
                report = json.loads(body)
                manager.reports.append(report)
                answer = wire.packed({"count": report["count"], **manager.orders})
                self.send_response(200)
                self.send_header(wire.HEADER, wire.code("x" if manager.lies else SECRET, "report answer", answer))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *words: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def last(self, host: str) -> dict[str, Any] | None:
        return next((one for one in reversed(self.reports) if one["host"] == host), None)


class Place:
    """One host: its agent, its guests, its storages (directories that others may share)."""

    def __init__(self, base: Path, manager: str, storages: dict[str, Path], *, port: int = 0, stop_after: float = 3.0):
        self.base, self.host, self.storages = base, str(uuid.uuid4()), storages
        (base / "guests").mkdir(parents=True)
        self.path = base / "agent.json"
        self.config = {
            "manager": manager, "host": self.host, "secret": SECRET, "stop_after": stop_after, "port": port,
            "leases": {name: str(path) for name, path in storages.items()}, "state": str(base / "run"),
            "guests": str(base / "guests"), "watchdog": str(base / "watchdog"),
        }  # fmt: skip
        (base / "watchdog").touch()
        self.path.write_text(json.dumps(self.config))
        self.log = (base / "log").open("wb")
        self._guests: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        subprocess.Popen(
            [sys.executable, "-m", "broker.virt.agent", str(self.path)], cwd=ROOT, stderr=self.log, stdout=self.log,
            start_new_session=True,
        )  # fmt: skip

    def agents(self, *, consoles: bool = False) -> list[int]:
        """The agent's processes, the guard before the keeper: the keeper is its child, until it becomes the guard.

        With `consoles`: also who serves those.
        """
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    stat = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                if str(self.path).encode() in words and stat[0] != "Z" and (consoles or b"--consoles" not in words):
                    found.append((int(stat[1]), int(entry.name)))
        ids = {pid for _, pid in found}
        return [pid for parent, pid in sorted(found, key=lambda one: one[0] in ids)]

    def both(self) -> list[int]:
        """Guard and keeper, when both are there."""
        return found if len(found := self.agents()) == 2 else []

    def guest(self, storage: str, *, ours: bool = True) -> "subprocess.Popen[bytes]":
        """A process that looks like QEMU, with a disk on the storage."""
        name = str(uuid.uuid4())
        guest = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "-uuid", name])
        status = STATUS.format(
            pid=guest.pid, name=name[:8], uuid=name, metadata=OURS if ours else "",
            file=self.storages[storage] / "disk.qcow2",
        )  # fmt: skip
        (self.base / "guests" / f"{name}.xml").write_text(status)
        self._guests.append(guest)
        wait_for(lambda: name.encode() in Path(f"/proc/{guest.pid}/cmdline").read_bytes())
        return guest

    def record(self, storage: str) -> lease.Record | None:
        return lease.read(self.storages[storage] / lease.FOLDER / self.host)

    def renews(self, storage: str) -> bool:
        """Wait until the lease moves; True then."""
        before = self.record(storage)
        wait_for(lambda: self.record(storage) not in (None, before))
        return True

    def lose(self, storage: str) -> None:
        """The storage is gone: what was a folder of leases is none."""
        shutil.move(self.storages[storage] / lease.FOLDER, self.storages[storage] / "gone")
        (self.storages[storage] / lease.FOLDER).touch()

    def regain(self, storage: str) -> None:
        (self.storages[storage] / lease.FOLDER).unlink()
        shutil.move(self.storages[storage] / "gone", self.storages[storage] / lease.FOLDER)

    def told(self) -> str:
        """What the agent wrote."""
        return (self.base / "log").read_text()

    def signal(self, number: int, *pids: int) -> None:
        for pid in pids:
            os.kill(pid, number)

    def close(self) -> None:
        for _ in range(3):
            for pid in self.agents(consoles=True):
                with suppress(ProcessLookupError):  # it ends with the one before it
                    self.signal(signal.SIGKILL, pid)
        for guest in self._guests:
            guest.kill()
            guest.wait()
        self.log.close()
