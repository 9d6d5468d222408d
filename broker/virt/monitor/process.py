"""The monitor: takes its share of the hosts and has each watched by a thread of its own.

`Monitor().run(stop)` is the whole process; it also runs as a thread beside others. This thread does nothing
but the leases, so that they are renewed whatever the hosts do, and looks which screens are wanted.
"""

import logging
import threading
from uuid import UUID

from django.db import DatabaseError, connections

from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.jobs import idle_line
from broker.virt import screens
from broker.virt.driver import HostUnreachable
from broker.virt.models import Host

from . import facts, leases
from .watch import Connect, Watch, connect

log = logging.getLogger(__name__)
SILENT_SECONDS = 45.0
GOODBYE_SECONDS = 2.0
SCREENS_EVERY = 1.0


class Monitor:
    """Watches hosts until told to stop. `events=False` leaves full passes alone (tests)."""

    def __init__(self, *, name: str = "", connect: Connect = connect, events: bool = True):
        self.name = name or leases.monitor_name()
        self._connect, self._events = connect, events
        self._watches: dict[UUID, Watch] = {}
        self._due = facts.StorageDue()
        self._renewed_at = clock.steady()

    def run(self, stop: threading.Event, *, every: float = leases.RENEW_SECONDS) -> None:
        """Look after hosts until `stop` is set; leases are given back at the end."""
        log.info("Monitor %s begins", self.name)
        try:
            while not stop.is_set():
                try:
                    self.round()
                except DatabaseError as error:
                    log.warning("The monitor's leases were not renewed: %s", error)
                    self._yield_when_late()
                idle_line.rest()
                self._rest(stop, every)
        finally:
            self._end()

    def _rest(self, stop: threading.Event, seconds: float) -> None:
        """Until the next round, passing on which screens somebody looks at."""
        until = clock.steady() + seconds
        while (left := until - clock.steady()) > 0 and not stop.wait(min(left, SCREENS_EVERY)):
            wanted = screens.wanted()
            for watch in self._watches.values():
                watch.want_screens(wanted)

    def round(self) -> None:
        """Renew the leases, and bring the watchers in line with them."""
        began = clock.steady()
        hosts = leases.share(self.name)
        self._renewed_at = began
        for pk, watch in list(self._watches.items()):
            host = hosts.get(pk)
            moved = host and (host.driver, host.uri) != (watch.host.driver, watch.host.uri)
            if host is None or moved or not watch.alive:
                self._watches.pop(pk).stop()
            elif clock.steady() - watch.silent_since > SILENT_SECONDS:
                facts.unreachable(host, _hangs(host))
        for pk, host in hosts.items():
            if pk not in self._watches:
                self._watches[pk] = Watch(host, connect=self._connect, events=self._events, due=self._due)
                self._watches[pk].start()

    def _yield_when_late(self) -> None:
        """Without a database the leases run out: others may watch by then."""
        if clock.steady() - self._renewed_at > leases.LEASE_SECONDS:
            for watch in self._watches.values():
                watch.stop()
            self._watches.clear()

    def _end(self) -> None:
        watches = list(self._watches.values())
        for watch in watches:
            watch.stop()
        deadline = clock.steady() + GOODBYE_SECONDS
        for watch in watches:
            watch.join(max(deadline - clock.steady(), 0.0))
        self._watches.clear()
        try:
            leases.leave(self.name)
        except DatabaseError as error:
            log.warning("The leases could not be given back, they run out by themselves: %s", error)
        connections.close_all()


def _hangs(host: Host) -> HostUnreachable:
    return HostUnreachable(
        N_("%(name)s has not answered a question for %(seconds)s seconds."),
        fix=N_("Look at libvirtd on the host; restarting it does not stop its machines."),
        name=host.name,
        seconds=int(SILENT_SECONDS),
    )
