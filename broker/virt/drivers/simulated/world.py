"""A simulated host: its machines, volumes and networks as plain data, with faults and delays on request.

The data is one JSON-able dict. In memory it is just that; with a state file it is read and written under a
file lock around every operation, so that several processes (and one after the other) see one host.
"""

import fcntl
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from broker.core import clock
from broker.core.errors import Invalid
from broker.core.text import gettext_noop
from broker.virt import driver
from broker.virt.driver import NO_SPACE, DriverError, EventKind, HostUnreachable
from broker.virt.drivers.simulated.cord import Cord

Data = dict[str, Any]
Listener = Callable[[EventKind, str, str, datetime], None]

_KEPT_EVENTS = 1000
_POLL = 0.05  # seconds between two looks at the state file of another process

_worlds: dict[str, "World"] = {}
_sites: dict[str, "Site"] = {}
_worlds_lock = threading.Lock()


def world(uri: str) -> "World":
    """The host behind `uri`, made at the first call. The options count when it is made."""
    parts = urlsplit(uri)
    if parts.scheme != "sim" or not parts.hostname:
        raise Invalid(
            gettext_noop("“%(uri)s” is not the address of a simulated host."),
            field="uri",
            fix=gettext_noop("Use sim://name."),
            uri=uri,
        )
    options = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    with _worlds_lock:
        key = f"{parts.hostname}?{options.get('state', '')}"
        if key not in _worlds:
            site = _sites.setdefault(options["site"], Site()) if options.get("site") else Site()
            _worlds[key] = World(parts.hostname, options, site)
        return _worlds[key]


class Site:
    """What the hosts of one place share: the lock that guards their data, and their storage."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.storages: Data = {}
        self.worlds: list[World] = []
        self.refused = 0  # starts of a machine that ran on another host of the site


class World(Cord):
    """One simulated host. `sleep` is what a delay calls; a simulation with its own clock replaces it."""

    def __init__(self, name: str, options: dict[str, str], site: Site) -> None:
        self.name = name
        self.cpus = int(options.get("cpus", 8))
        self.memory = int(options.get("memory", 65536)) << 20
        self.vnc = options.get("vnc", "")
        self.cpu_models = frozenset(options.get("models", "qemu64,Haswell").split(","))
        self.sleep: Callable[[float], None] = time.sleep
        self._path = Path(options["state"]) if options.get("state") else None
        self._data = _empty() | {"storages": site.storages}
        self._lock, self.site = site.lock, site
        site.worlds.append(self)
        self._depth = 0
        self._changed = threading.Condition()
        self._listeners: dict[object, Listener] = {}
        self._delivered = 0
        self._stamp = 0
        self._feed: threading.Thread | None = None

    @contextmanager
    def changing(self) -> Iterator[Data]:
        """The data, to read and to change; one thread of one process at a time."""
        with self._lock:
            if self._path is None or self._depth:
                yield self._data
                return
            self._depth += 1
            try:
                with self._path.with_suffix(".lock").open("a") as guard:
                    fcntl.flock(guard, fcntl.LOCK_EX)
                    before = self._path.read_text() if self._path.exists() else ""
                    self._data = json.loads(before) if before else _empty()
                    yield self._data
                    if (after := json.dumps(self._data)) != before:
                        fresh = self._path.with_suffix(".new")
                        fresh.write_text(after)
                        fresh.replace(self._path)
            finally:
                self._depth -= 1

    def meet(self, verb: str, *, connection_lost: bool = False) -> None:
        """What every call runs into first: an unplugged host, an ordered fault, an ordered delay."""
        with self.changing() as data:
            delay = data["delays"].get(verb, 0.0)
            plugged = data["plugged"] and data.get("powered", True) and not connection_lost
            fault = next((fault for fault in data["faults"] if fault["verb"] == verb), None) if plugged else None
            if fault:
                fault["times"] -= 1
                data["faults"] = [fault for fault in data["faults"] if fault["times"] > 0]
        if delay:
            self.sleep(delay)
        if not plugged:
            raise HostUnreachable(
                gettext_noop("The host does not answer: %(reason)s."),
                fix=gettext_noop("Plug the simulated host in."),
                reason="unplugged",
            )
        if fault:
            raise _error(fault)

    def fail_next(self, verb: str, error: DriverError, *, times: int = 1) -> None:
        """Have the next calls of `verb` raise `error` before they change anything; "connect" is a verb too."""
        params = {key: str(value) for key, value in error.params.items()}
        with self.changing() as data:
            data["faults"].append(
                {
                    "verb": verb, "times": times, "kind": type(error).__name__, "message": error.template,
                    "fix": error.fix_template, "params": params,
                }
            )  # fmt: skip

    def delay(self, verb: str, seconds: float) -> None:
        """Have every call of `verb` take this long; 0 ends it."""
        with self.changing() as data:
            data["delays"][verb] = seconds

    def unplug(self) -> None:
        """Cut the host off: connections die, calls raise HostUnreachable, machines keep running."""
        with self.changing() as data:
            data["plugged"] = False
            data["epoch"] += 1
            self.note(data, EventKind.CLOSED, "", "unplugged")

    def plug(self) -> None:
        """End `unplug`; connections must be opened anew."""
        with self.changing() as data:
            data["plugged"] = True

    def ignore_power_button(self, machine: str, ignore: bool = True) -> None:
        """Have the guest overlook the ACPI power button, as one without an operating system does."""
        with self.changing() as data:
            data["machines"][machine]["deaf"] = ignore

    def lose_agent(self, machine: str, lost: bool = True) -> None:
        """Have no guest agent answer in the machine."""
        with self.changing() as data:
            data["machines"][machine]["agentless"] = lost
            self.note(data, EventKind.AGENT, machine, "disconnected" if lost else "connected")

    def add_foreign(self, name: str, *, power: str = "off") -> str:
        """Put a machine on the host that Berth did not define; returns its UUID."""
        key = str(uuid.uuid4())
        with self.changing() as data:
            data["machines"][key] = new_machine(name, {"name": name, "vcpus": 1, "memory_mib": 512})
            data["machines"][key]["power"] = power
            self.note(data, EventKind.DEFINED, key, "defined added")
        return key

    def edit(self, machine: str, **fields: Any) -> None:
        """Change the definition as somebody with the hypervisor's own tools would."""
        with self.changing() as data:
            data["machines"][machine]["definition"].update(fields)
            self.note(data, EventKind.DEFINED, machine, "defined updated")

    def fill(self, machine: str, *, reason: str = NO_SPACE) -> None:
        """Pause it as a hypervisor does when a disk cannot grow, or fails."""
        with self.changing() as data:
            data["machines"][machine].update(power="paused", reason=reason)
            self.note(data, EventKind.POWER, machine, "suspended ioerror")

    def note(self, data: Data, kind: EventKind, machine: str, detail: str) -> None:
        """Add an event to the host's log; call it while `changing()`."""
        data["sequence"] += 1
        data["events"].append([data["sequence"], kind.value, machine, detail, clock.now().isoformat()])
        del data["events"][:-_KEPT_EVENTS]
        with self._changed:
            self._changed.notify_all()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` every event from now on, from a thread of this host; returns what ends it."""
        key = object()
        with self.changing() as data, self._changed:
            if not self._listeners:
                self._delivered = data["sequence"]
            self._listeners[key] = listener
            if self._feed is None:
                self._feed = threading.Thread(target=self._run, name=f"sim-{self.name}", daemon=True)
                self._feed.start()

        def stop() -> None:
            self._listeners.pop(key, None)

        return stop

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._news, _POLL if self._path else None)
            with self.changing() as data:
                events = [event for event in data["events"] if event[0] > self._delivered]
                self._delivered = data["sequence"]
            for _, kind, machine, detail, at in events:
                for listener in list(self._listeners.values()):
                    listener(EventKind(kind), machine, detail, datetime.fromisoformat(at))

    def _news(self) -> bool:
        """Whether a look at the events is worth it; a file is only read when it changed."""
        if not self._listeners:
            return False
        if self._path is None:
            return bool(self._data["sequence"] > self._delivered)
        try:
            stamp = self._path.stat().st_mtime_ns
        except OSError:
            return False
        changed, self._stamp = stamp != self._stamp, stamp
        return changed


def new_machine(name: str, definition: Data) -> Data:
    """The data of a machine that was never started."""
    return {
        "name": name, "definition": definition, "mark": "", "power": "off", "reason": "", "run": 0, "since": "",
        "deaf": False, "agentless": False, "serial": "",
    }  # fmt: skip


def _empty() -> Data:
    return {
        "machines": {}, "storages": {}, "networks": {}, "events": [], "sequence": 0, "runs": 0, "epoch": 0,
        "plugged": True, "faults": [], "delays": {},
    }  # fmt: skip


def _error(fault: Data) -> DriverError:
    kind = getattr(driver, fault["kind"], DriverError)
    return kind(fault["message"], fix=fault["fix"], **fault["params"])  # type: ignore[no-any-return]
