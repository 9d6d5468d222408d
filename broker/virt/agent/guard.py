"""The guard: stops the guests whose lease was not renewed in time. It touches no storage and no network.

It looks at the time before it hears what the keeper says, so after a sleep nothing is prolonged that was over. A lease
that was over is renewed again only when the guests it covered are seen to be gone.
"""

import fcntl
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from . import guests, lines, lun_lease
from .config import Config
from .terms import Terms, now

LOOK_EVERY = 0.5
GIVE_BACK_SECONDS = 5.0
CONSOLES_AGAIN_SECONDS = 3.0
STUCK_SECONDS = 10.0  # guests that do not die for so long: the watchdog is left to bite


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Line:
    """One end of the line between guard and keeper: JSON, one value a line, never waiting."""

    def __init__(self, end: socket.socket):
        self.end, self._rest = end, b""
        end.setblocking(False)

    def tell(self, **value: object) -> None:
        try:
            self.end.send(json.dumps(value).encode() + b"\n")
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            return  # the other does not listen, which it will be judged by

    def heard(self) -> list[dict[str, object]] | None:
        """What came since; None when the other end is gone."""
        try:
            while piece := self.end.recv(65536):
                self._rest += piece
        except BlockingIOError:
            *whole, self._rest = self._rest.split(b"\n")
            return [found for one in whole if (found := _read(one))]
        except ConnectionResetError:
            return None
        return None


def _read(line: bytes) -> dict[str, object]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}  # cut off where the line was full; it is said again
    return found if isinstance(found, dict) else {}


class Guard:
    """`start_keeper` begins a keeper and returns its process and our end of the line to it; `start_consoles` the line
    to whoever serves consoles (consoles.py), who stays as long as it is open."""

    def __init__(
        self, path: Path, start_keeper: Callable[[Path], tuple[int, Line]],
        start_consoles: Callable[[Path], Line] | None = None,
    ):  # fmt: skip
        self.path, self.config = path, Config.load(path)
        state = Path(self.config.state)
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _only_one(state / "lock")
        self.terms = Terms(state / "terms.json")
        self.terms.expect(dict(self.config.leases), now())
        self.late: set[str] = set()
        self.clean_since: dict[str, float] = {}
        self._stuck_since: float | None = None
        self._start_keeper, self._start_consoles = start_keeper, start_consoles
        self._consoles: Line | None = None
        self._consoles_since = -CONSOLES_AGAIN_SECONDS
        self._keeper, self._heard_at = 0, 0.0
        self._line: Line | None = None
        self._dog = os.open(self.config.watchdog, os.O_WRONLY | os.O_CLOEXEC) if self.config.watchdog else None
        self._stopping, self._said = False, ""

    def run(self) -> None:
        """Until SIGTERM; then the leases are given back, so that nobody takes their standing still for an end."""
        signal.signal(signal.SIGTERM, self._on_term)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a keeper ended
        while not self._stopping:
            self.look(now())
            self.hear(now())
            self._see_to_consoles(now())
            self._feed()
            time.sleep(LOOK_EVERY)
        if self._keeper:
            os.kill(self._keeper, signal.SIGKILL)
        if not self.late and self._give_back():
            self.terms.path.unlink(missing_ok=True)
        if self._dog is not None:
            os.write(self._dog, b"V")  # a stop on purpose

    def _give_back(self) -> bool:
        """Remove our leases: then no other host may start what runs here. By a process that may hang on storage."""
        child = os.fork()
        if not child:
            try:
                for name, directory in self.config.leases:
                    lun_lease.lease_of(self.config, name, directory).give_back()
                (self.terms.path.parent / "given-back").touch()
            finally:
                os._exit(0)
        done, deadline = self.terms.path.parent / "given-back", time.monotonic() + GIVE_BACK_SECONDS
        while time.monotonic() < deadline:
            if done.exists():
                done.unlink()
                return True
            time.sleep(0.05)
        return False

    def look(self, at: float) -> None:
        """Stop what may no longer run."""
        for storage in self.terms.over(at, self.config.stop_after) - self.late:
            self.late.add(storage)
            say(f"the lease on storage {storage} was not renewed for {self.config.stop_after:.0f} s")
        if not self.late:
            self._stuck_since = None
            return
        self._end_orphans()
        condemned = self._condemned()
        for guest in condemned:
            say(f"stopping {guest.name} ({guest.uuid}), process {guest.pid}: its lease is over")
            guests.kill(guest)
        if condemned:
            self.clean_since.clear()
            if self._stuck_since is None:
                self._stuck_since = at
        else:
            self._stuck_since = None
            for storage in self.late:
                self.clean_since.setdefault(storage, at)

    def _end_orphans(self) -> None:
        """What QEMUs that are gone wrote to LUNs whose lease is over, and what is not sent yet, is not to be sent."""
        try:
            leases = dict(self.config.leases)
            if ports := lun_lease.ports(self.config, [leases[one] for one in self.late if one in leases]):
                lines.end_orphans(ports)
        except OSError as error:
            if str(error) != self._said:
                say(f"what was not sent to LUNs cannot be thrown away: {error}")
            self._said = str(error)

    def _condemned(self) -> list[guests.Guest]:
        """With every lease over, all guests; else those with a disk on a storage whose lease is over."""
        found = guests.running(self.config.guests)
        leases = dict(self.config.leases)
        if self.late >= leases.keys():
            return found
        return [guest for guest in found if guest.on(leases[one] for one in self.late if one in leases)]

    def hear(self, at: float) -> None:
        """What the keeper says; one that is silent is replaced."""
        news = self._line.heard() if self._line else None
        for one in news or ():
            self._heard_at = at
            if one.get("reload"):
                self.reload(at)
            elif "renewed" in one:
                self.renewed(str(one["renewed"]), float(str(one["begun"])))
        if self._line is None or news is None or at - self._heard_at > max(self.config.stop_after / 2, 2.0):
            self._replace_keeper(at)
        assert self._line is not None
        self._line.tell(late=sorted(self.late), clean=sorted(self.late & self.clean_since.keys()))

    def renewed(self, storage: str, begun: float) -> None:
        if storage in self.late:
            if begun < self.clean_since.get(storage, float("inf")):
                return  # begun before its guests were gone
            self.late.discard(storage)
            self.clean_since.pop(storage, None)
            say(f"the lease on storage {storage} is renewed again")
        self.terms.renew(storage, begun)

    def reload(self, at: float) -> None:
        self.config = Config.load(self.path)
        self.terms.expect(dict(self.config.leases), at)
        self.late &= self.terms.renewed.keys()

    def _replace_keeper(self, at: float) -> None:
        if self._keeper:
            try:
                os.kill(self._keeper, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it went by itself
        if self._line:
            self._line.end.close()
        self._keeper, self._line = self._start_keeper(self.path)
        self._heard_at = at

    def _see_to_consoles(self, at: float) -> None:
        """Nothing of leases depends on it: one that went is begun again, not too often."""
        if self._start_consoles is None or at - self._consoles_since < CONSOLES_AGAIN_SECONDS:
            return
        if self._consoles is None or self._consoles.heard() is None:
            if self._consoles:
                self._consoles.end.close()
            self._consoles, self._consoles_since = self._start_consoles(self.path), at

    def _feed(self) -> None:
        """The watchdog bites when this stops: guests that do not die, or nobody here to stop them."""
        stuck = self._stuck_since is not None and now() - self._stuck_since > STUCK_SECONDS
        if self._dog is not None and not stuck:
            os.write(self._dog, b"\0")

    def _on_term(self, number: int, frame: object) -> None:
        self._stopping = True


def _only_one(path: Path) -> int:
    """Wait for the agent before us to be gone; returns what holds the lock."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle
