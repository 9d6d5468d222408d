"""A cluster of three lab hosts with agents, a shared storage and everything of the manager, for tests of failover."""

import json
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from django.db import connections

from broker.core import clock
from broker.core.errors import BerthError
from broker.jobs.models import Job
from broker.jobs.runner import Runner
from broker.jobs.states import ACTIVE
from broker.virt import reports
from broker.virt.actions.create_vm import create_vm
from broker.virt.agent import lease, wire
from broker.virt.ha import duty
from broker.virt.models import Host, HostAgent, Recovery, StorageDomain, Verdict, VirtualMachine
from broker.virt.monitor.process import Monitor
from broker.virt.states import RECOVERY
from tests.jobs_help import finish
from tests.lab import guest
from tests.lab.lab import Lab
from tests.virt.actions.stage import SYSTEM
from tests.world import World

ROOT = Path(__file__).resolve().parents[3]
RULES = {
    "detect_seconds": 5, "startup_seconds": 0, "lease_seconds": 10, "silent_share_percent": 100, "fencing": False,
    "restart_every_seconds": 5,
}  # fmt: skip


class Door(ThreadingHTTPServer):
    """Takes the agents' reports, as the web process does."""

    daemon_threads = True

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            try:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer, code = reports.take(body, self.headers[wire.HEADER])
                self.send_response(200)
                self.send_header(wire.HEADER, code)
            except BerthError as error:
                answer = str(error).encode()
                self.send_response(error.status)
            finally:
                connections.close_all()
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *words: Any) -> None:
            pass


class Sampler(threading.Thread):
    """Counts the QEMUs of one machine in the process table, ten times a second. `most`: how many there ever were."""

    def __init__(self, machine: str):
        super().__init__(daemon=True)
        self.word, self.most, self.samples, self.now = machine.encode(), 0, 0, 0
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.wait(0.1):
            self.now = sum(self._is_one(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit())
            self.most = max(self.most, self.now)
            self.samples += 1

    def _is_one(self, entry: Path) -> bool:
        try:
            words = (entry / "cmdline").read_bytes()
        except OSError:
            return False
        return self.word in words and b"qemu-system" in words.split(b"\0")[0]

    def stop(self) -> None:
        self._stopping.set()
        self.join()


class Failover:
    """`rows`: the hosts as Berth knows them, by their names in the lab. `managing`: here; else others are managers."""

    def __init__(self, lab: Lab, base: Path, *, managing: bool = True):
        self.lab, self.base, self.managing = lab, base, managing
        self.world = World.build(driver="libvirt", uri=lab.hosts["lab-a"].tcp_uri, path=str(lab.shared))
        guest.write_image(lab.shared / self.world.version.volume, image_format="qcow2")
        type(self.world.version).objects.update(size_bytes=1 << 20, memory_mib=16)
        self.world.cluster.ha = dict(RULES)
        self.world.cluster.save()
        Host.objects.filter(pk=self.world.host.pk).delete()
        self.door = Door((f"{lab.subnet}.1", 0), Door.Handler)
        self.rows = {
            name: Host.objects.create(
                cluster=self.world.cluster, name=name, driver="libvirt", uri=host.tcp_uri, address=host.address
            )
            for name, host in lab.hosts.items()
        }
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self.door.serve_forever, daemon=True),
            *([threading.Thread(target=Monitor().run, args=(self._stop,), daemon=True)] if managing else []),
        ]
        for thread in self._threads:
            thread.start()

    def begin(self) -> None:
        for name in self.rows:
            self.start_agent(name)
        self.until(self._everything_is_seen, 60)

    def _everything_is_seen(self) -> bool:
        seen = Host.objects.filter(observed_at__isnull=False, error="", signs__source="lease").distinct().count()
        return seen == len(self.rows)

    def start_agent(self, name: str) -> None:
        secret, row = "s" * 43, self.rows[name]
        HostAgent.objects.create(host=row, secret=reports.sealed(secret))
        folder = self.base / name
        folder.mkdir()
        orders, lab_address = reports.orders(row), ":".join(map(str, self.door.server_address[:2]))
        config = {
            "manager": f"http://{lab_address}", "host": str(row.pk), "secret": secret,
            "state": str(folder), **orders,
        }  # fmt: skip
        (folder / "agent.json").write_text(json.dumps(config))
        with (folder / "log").open("wb") as log:
            words = [sys.executable, "-m", "broker.virt.agent", str(folder / "agent.json")]
            subprocess.Popen(self._inside(name, *words), stdout=log, stderr=log)

    def _inside(self, name: str, *words: str) -> list[str]:
        return [
            "nsenter",
            "-t",
            str(self.lab.hosts[name].init_pid),
            "-m",
            "-n",
            "-p",
            "-i",
            "-u",
            f"--wd={ROOT}",
            "--",
            *words,
        ]

    def lose_leases(self, name: str) -> None:
        """Storage takes nothing from this host any more; the others go on."""
        folder = str(self.lab.shared / lease.FOLDER)
        subprocess.run(self._inside(name, "mount", "-t", "tmpfs", "-o", "ro", "none", folder), check=True)

    def machine(self, storage: StorageDomain | None = None) -> VirtualMachine:
        """One that is highly available and guarded by a lease, running."""
        name = f"m-{uuid.uuid4().hex[:6]}"
        job = create_vm(actor=SYSTEM, name=name, version=self.world.version, storage=storage, start=True)
        finish(job)
        VirtualMachine.objects.filter(pk=job.subject_id).update(available=True, leased=True, priority=50)
        vm = VirtualMachine.objects.select_related("host").get(pk=job.subject_id)
        self.until(lambda: self.where(vm), 20)
        return vm

    def where(self, vm: VirtualMachine) -> str:
        """The host on which its QEMU is, from the process table; "" for none."""
        return next((name for name, one in self.lab.hosts.items() if one.on and one.qemu_pid(str(vm.pk))), "")

    def open_recoveries(self) -> bool:
        return Recovery.objects.filter(state__in=RECOVERY.sets["open"]).exists()

    def verdicts(self, name: str) -> list[str]:
        return list(Verdict.objects.filter(host=self.rows[name]).order_by("at").values_list("rule", flat=True))

    def until(self, what: Callable[[], Any], seconds: float) -> float:
        """Be the manager until `what` is true; returns how long that took."""
        began = time.monotonic()
        while not what():
            taken = time.monotonic() - began
            assert taken < seconds, f"not within {seconds} s: {[(n, self.verdicts(n)) for n in self.rows]}"
            self.work()
        return time.monotonic() - began

    def work(self) -> None:
        if not self.managing:
            time.sleep(0.1)
            return
        duty.run()
        for pk in list(Job.objects.filter(state__in=ACTIVE, next_run_at__lte=clock.now()).values_list("pk", flat=True)):
            Runner().run(pk)
        time.sleep(0.1)

    def close(self) -> None:
        self._stop.set()
        self.door.shutdown()
        self.door.server_close()
        for thread in self._threads:
            thread.join(20)
        for host in self.lab.hosts.values():
            if host.on:
                host.crash()  # and with it the agent and what was mounted over its storage
        shutil.rmtree(self.lab.shared / lease.FOLDER, ignore_errors=True)
