"""libvirt's events as HostEvents.

libvirt calls back from its event loop, which must not be held up and may not wait for an answer from the
host. So the callbacks only put a note into a queue, and a thread per connection looks at the machine and
tells the subscribers.
"""

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import libvirt

from broker.core import clock
from broker.virt.driver import DriverError, EventKind, HostEvent, PowerState
from broker.virt.drivers.libvirt.domain_xml.mapping import NAMESPACE
from broker.virt.drivers.libvirt.observe import Observing

log = logging.getLogger(__name__)
Callback = Callable[[HostEvent], None]

_LIFECYCLE = {
    getattr(libvirt, f"VIR_DOMAIN_EVENT_{name}"): name.lower()
    for name in (
        "DEFINED", "UNDEFINED", "STARTED", "SUSPENDED", "RESUMED", "STOPPED", "SHUTDOWN", "PMSUSPENDED", "CRASHED",
    )
}  # fmt: skip
_KINDS = {"defined": EventKind.DEFINED, "undefined": EventKind.UNDEFINED}
_DETAILS = {
    (event, getattr(libvirt, name)): name.removeprefix(f"VIR_DOMAIN_EVENT_{word.upper()}_").lower()
    for event, word in _LIFECYCLE.items()
    for name in dir(libvirt)
    if name.startswith(f"VIR_DOMAIN_EVENT_{word.upper()}_")
}
_AGENT_STATES = {
    libvirt.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED: "connected",
    libvirt.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_DISCONNECTED: "disconnected",
}
_CLOSE_REASONS = {
    libvirt.VIR_CONNECT_CLOSE_REASON_ERROR: "error",
    libvirt.VIR_CONNECT_CLOSE_REASON_EOF: "closed by the host",
    libvirt.VIR_CONNECT_CLOSE_REASON_KEEPALIVE: "no answer",
    libvirt.VIR_CONNECT_CLOSE_REASON_CLIENT: "closed",
}


@dataclass(frozen=True, slots=True)
class _Note:
    kind: EventKind
    uuid: str = ""
    detail: str = ""


class Telling(Observing):
    """The news of a host."""

    _feed: "_Feed | None" = None
    _feed_lock: threading.Lock

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        with self._feed_lock, self.calling():
            if self._feed is None:
                feed = _Feed(self)
                feed.start()
                self._feed = feed
                self.on_close(feed.stop)
            return self._feed.add(callback)


class _Feed:
    """The registered callbacks of one connection, its queue, its thread and its subscribers."""

    def __init__(self, host: Observing) -> None:
        self._host = host
        self._notes: queue.SimpleQueue[_Note | None] = queue.SimpleQueue()
        self._subscribers: dict[object, Callback] = {}
        self._handles: list[int] = []
        self._line = host.lines.take()  # kept for the news: a call that takes long must not hold them up

    def start(self) -> None:
        for event, handler in (
            (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._on_lifecycle),
            (libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, self._on_reboot),
            (libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, self._on_agent),
            (libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, self._on_metadata),
        ):
            self._handles.append(self._line.domainEventRegisterAny(None, event, handler, None))
        self._line.registerCloseCallback(self._on_close, None)
        threading.Thread(target=self._run, name="libvirt-feed", daemon=True).start()

    def stop(self) -> None:
        """Take the callbacks back and end the thread."""
        try:
            for handle in self._handles:
                self._line.domainEventDeregisterAny(handle)
            self._line.unregisterCloseCallback()
        except libvirt.libvirtError:
            pass  # nothing is registered any more on a dead connection
        self._host.lines.give_back(self._line)
        self._notes.put(None)

    def add(self, callback: Callback) -> Callable[[], None]:
        key = object()
        self._subscribers[key] = callback
        return lambda: self._subscribers.pop(key, None) and None

    def _on_lifecycle(self, connection: Any, domain: Any, event: int, detail: int, opaque: Any) -> None:
        word = _LIFECYCLE.get(event, "")
        text = " ".join(filter(None, (word, _DETAILS.get((event, detail), ""))))
        self._notes.put(_Note(_KINDS.get(word, EventKind.POWER), domain.UUIDString(), text))

    def _on_reboot(self, connection: Any, domain: Any, opaque: Any) -> None:
        self._notes.put(_Note(EventKind.POWER, domain.UUIDString(), "rebooted"))

    def _on_agent(self, connection: Any, domain: Any, state: int, reason: int, opaque: Any) -> None:
        self._notes.put(_Note(EventKind.AGENT, domain.UUIDString(), _AGENT_STATES.get(state, "")))

    def _on_metadata(self, connection: Any, domain: Any, kind: int, uri: str, opaque: Any) -> None:
        if uri != NAMESPACE:  # our own comes with each start and changes nothing that anybody observes
            self._notes.put(_Note(EventKind.DEFINED, domain.UUIDString(), "metadata"))

    def _on_close(self, connection: Any, reason: int, opaque: Any) -> None:
        self._notes.put(_Note(EventKind.CLOSED, detail=_CLOSE_REASONS.get(reason, "")))

    def _run(self) -> None:
        while note := self._notes.get():
            event = self._event(note)
            for callback in list(self._subscribers.values()):
                try:
                    callback(event)
                except Exception:
                    log.exception("a subscriber failed on %s of %s", event.kind, event.uuid)

    def _event(self, note: _Note) -> HostEvent:
        if note.kind is EventKind.CLOSED or note.kind is EventKind.UNDEFINED:
            return HostEvent(note.kind, note.uuid, clock.now(), note.detail)
        try:
            seen = self._host.observe_one(note.uuid, counters=False)
        except DriverError:
            seen = None  # the connection went away meanwhile; CLOSED follows
        if seen is not None and seen.power is PowerState.MISSING:
            return HostEvent(EventKind.UNDEFINED, note.uuid, seen.at, note.detail)
        return HostEvent(note.kind, note.uuid, seen.at if seen else clock.now(), note.detail, seen)
