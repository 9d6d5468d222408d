"""The keeper: renews the leases, looks at those of others, reports. Each storage has a thread: one that hangs is alone.

It renews only while the guard is seen to be awake, and a lease that ran out only when the guard saw its guests gone.
A guard that is dead or frozen is replaced by this process, which becomes the guard.
"""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from . import certificates, guests, lease, lun_lease, peers, wire
from .checks import Checks
from .config import VERSION, Config
from .guard import Line, say
from .terms import now

TICK = 0.5
REPORT_EVERY = 5.0


class Keeper:
    """`guard` is its process, `line` our end of the line to it."""

    def __init__(self, path: Path, guard: int, line: Line):
        self.path, self.config, self.guard, self.line = path, Config.load(path), guard, line
        self.heard_at = now()
        self.late: set[str] = set()
        self.clean: set[str] = set()
        self._storages: dict[str, Storage] = {}
        self._lock = threading.Lock()
        self._asked: tuple[str, str] | None = None
        self._checks = Checks()

    def run(self) -> None:
        """Until the guard is gone; then the caller begins anew as the guard."""
        self._door()
        threading.Thread(target=self._reports, name="reports", daemon=True).start()
        while True:
            self.line.tell(alive=True)
            news = self.line.heard()
            if news is None:
                say("the guard is gone; another begins")
                return
            for one in news:
                self.heard_at = now()
                self.late, self.clean = set(_names(one.get("late"))), set(_names(one.get("clean")))
            if now() - self.heard_at > max(self.config.stop_after / 2, 2.0):
                say("the guard does not answer; another takes its place")
                _end(self.guard)
                return
            self._follow_config()
            time.sleep(TICK)

    def may_renew(self, storage: str) -> bool:
        awake = now() - self.heard_at < max(self.config.stop_after / 4, 1.0)
        return awake and (storage not in self.late or storage in self.clean)

    def tell_renewed(self, storage: str, begun: float) -> None:
        with self._lock:
            self.line.tell(renewed=storage, begun=begun)

    def _follow_config(self) -> None:
        wanted = dict(self.config.leases)
        for name, directory in wanted.items():
            if name not in self._storages or self._storages[name].directory != directory:
                if name in self._storages:
                    self._storages[name].stop()
                self._storages[name] = Storage(self, name, directory)
        for name in self._storages.keys() - wanted.keys():
            self._storages.pop(name).stop()

    def _door(self) -> None:
        try:
            peers.Door(self.config.host, self.config.port)
        except OSError as error:
            say(f"other hosts cannot greet this one: {error}")

    # -- reports ---------------------------------------------------------------------------------------------

    def _reports(self) -> None:
        said = ""
        while True:
            try:
                self._take(wire.post(f"{self.config.manager}/agent/report", self.config.secret, self.report()))
                if said:
                    say("the manager answers again")
                said = ""
            except (OSError, ValueError, subprocess.SubprocessError) as error:
                if str(error) != said:
                    say(f"the manager was not told: {error}")
                said = str(error)
            time.sleep(min(REPORT_EVERY, self.config.stop_after / 4))

    def report(self) -> dict[str, Any]:
        """What this host knows of itself and of others."""
        at = now()
        seen = {
            name: {host: [record.serial, record.stop_after] for host, record in one.others.items()}
            for name, one in self._storages.items()
            if one.looked_at is not None and one.others
        }
        looked = {name: round(at - one.looked_at, 3) for name, one in self._storages.items() if one.looked_at}
        return {
            "host": self.config.host,
            "count": time.time_ns(),
            "version": VERSION,
            "leases": seen,
            "looked": looked,
            "own": {name: one.state for name, one in self._storages.items()},
            "peers": peers.reached(self.config.peers, self.config.port),
            "guests": len(guests.running(self.config.guests)),
            "late": sorted(self.late),
            "stop_after": self.config.stop_after,
            "watchdog": bool(self.config.watchdog),
            "checks": self._checks.found(self.config.watchdog),
            **({"csr": self._asked[1]} if self._asked else {}),
        }

    def _take(self, answer: dict[str, Any]) -> None:
        if isinstance(answer.get("now"), int | float):
            self._checks.skew = time.time() - float(answer["now"])
        self._renew_certificate(answer)
        new = self.config.told(answer)
        if new != self.config:
            new.save(self.path)
            self.config = new
            with self._lock:
                self.line.tell(reload=True)

    def _renew_certificate(self, answer: dict[str, Any]) -> None:
        """The next report asks for one when the manager wants that; what it then answers is put to use."""
        certificate, authority = answer.get("certificate"), answer.get("authority")
        if isinstance(certificate, str) and isinstance(authority, str) and self._asked:
            certificates.install(self._asked[0], certificate, authority, root=Path(self.config.root))
            self._asked = None
            problem = certificates.reload()
            say(f"the certificate was renewed, but libvirtd: {problem}" if problem else "the certificate was renewed")
        elif answer.get("renew") and not self._asked:
            self._asked = certificates.request()


class Storage:
    """One storage: its lease renewed and the others' looked at, by a thread of its own."""

    def __init__(self, keeper: Keeper, name: str, directory: str):
        self.keeper, self.name, self.directory = keeper, name, directory
        self.lease = lun_lease.lease_of(keeper.config, name, directory)
        self.others: dict[str, lease.Record] = {}
        self.looked_at: float | None = None
        self.state = "new"
        self._stopping = threading.Event()
        self._was_late = False
        threading.Thread(target=self._run, name=f"lease-{name}", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self.keeper.may_renew(self.name):
                self.renew()
            self._stopping.wait(self.keeper.config.renew_every)
        if self.state != "held":
            return
        try:
            self.lease.give_back()  # the storage is no longer used: its place there is for another host
        except OSError as error:
            say(f"the lease on {self.directory} stays there: {error}")

    def renew(self) -> None:
        """Once; others' leases count as looked at only when our own was written to the same storage just before."""
        late, begun = self.name in self.keeper.late, now()
        if late and not self._was_late:
            self.lease.forget()
        self._was_late = late
        try:
            self.lease.renew(self.keeper.config.stop_after)
            self.keeper.tell_renewed(self.name, begun)
            at = now()
            self.others = self.lease.others()
            self.looked_at, self.state = at, "held"
        except lease.Taken as error:
            self._fail("taken", str(error))
        except OSError as error:
            self._fail("lost", str(error))

    def _fail(self, state: str, why: str) -> None:
        if self.state != state:
            say(f"the lease on {self.directory} was not renewed: {why}")
        self.state = state


def _names(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _end(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return
