"""Watch one host: its events as they come, a full pass every few seconds, its facts, guests and screens.

One thread, which only waits for this host: when it hangs or is gone, no other host's watcher notices. Events
are never the truth, only early: whatever is lost, doubled or out of order, the next full pass puts right.
"""

import logging
import queue
import threading
from collections.abc import Callable
from functools import partial
from uuid import UUID

from django.db import DatabaseError, close_old_connections, connections

from broker.core import clock
from broker.core.errors import BerthError
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.settings import env
from broker.sql import Given, Statement
from broker.virt import drivers, history, observe, screens
from broker.virt.driver import EventKind, HostConnection, HostEvent, HostUnreachable, Observation, PowerState
from broker.virt.last_pass import LastPass
from broker.virt.loads.book import Book
from broker.virt.models import Host, VirtualMachine
from broker.virt.pki.line import uri_of

from . import addresses, attachments, devices, facts
from .chores import Chores
from .guests import Guests

log = logging.getLogger(__name__)
Connect = Callable[[Host], HostConnection]
CONNECT_TIMEOUT = 5.0
FACTS_EVERY = 60.0
ATTACHED_EVERY = 60.0
STORAGE_EVERY = 15.0  # how often a look is taken whether some storage is due
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
MOST_EVENTS = 500  # applied at once
BURST, GATHERED = 0.25, 0.04  # seconds: what comes so soon after the last is waited for so long, for it has company


def connect(host: Host) -> HostConnection:
    """A connection of the monitor's own: jobs that keep theirs busy do not delay it."""
    return drivers.load(host.driver).connect(uri_of(host), timeout=CONNECT_TIMEOUT)


class Watch:
    """The watcher of one host. `stop` returns at once; the thread ends when the host lets it."""

    def __init__(
        self, host: Host, *, connect: Connect = connect, events: bool = True, due: facts.StorageDue | None = None
    ):
        """`due` is shared by the watchers of a monitor."""
        self.host, self._connect, self._events = host, connect, events
        self._storage_due = due or facts.StorageDue()
        self.silent_since = clock.steady()
        self._stopping = threading.Event()
        self._news: queue.SimpleQueue[HostEvent | None] = queue.SimpleQueue()
        self._chores = Chores(f"ask-{host.name}")
        self._guests, self._meter = Guests(self._chores, self._look, events=events), history.Meter()
        self._book, self._last = Book(host.pk), LastPass()
        self._ours: set[UUID] = set()
        self._shot_at: dict[UUID, float] = {}
        self._wanted: set[UUID] = set()
        self._facts_at = self._storage_at = self._attached_at = self._news_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name=f"watch-{host.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._chores.stop()
        self._news.put(None)

    def join(self, timeout: float) -> None:
        self._thread.join(timeout)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def want_screens(self, ids: set[UUID]) -> None:
        """Somebody looks at the screens of these machines, here or elsewhere: have those here taken."""
        here = {pk for pk in ids if self._guests.runs(pk)}
        if here or self._wanted:
            self._wanted = here
            self._look()

    def _look(self) -> None:
        """End the waiting for news: something else is to be done."""
        self._news.put(None)

    # -- connecting ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        pause = SHORTEST_PAUSE
        try:
            while not self._stopping.is_set():
                began = clock.steady()
                try:
                    self._watch()
                except BerthError as error:
                    log.info("Host %s: %s", self.host.name, error)
                    self._say(error)
                except DatabaseError as error:
                    log.warning("Host %s: the database does not take what was seen: %s", self.host.name, error)
                except Exception:
                    log.exception("Watching host %s failed; it is begun again", self.host.name)
                pause = SHORTEST_PAUSE if clock.steady() - began > LONGEST_PAUSE else min(pause * 2, LONGEST_PAUSE)
                close_old_connections()
                self.silent_since = clock.steady()
                self._stopping.wait(pause)
        finally:
            connections.close_all()

    def _say(self, error: BerthError) -> None:
        if self._stopping.is_set():
            return
        try:
            facts.unreachable(self.host, error)
        except DatabaseError as problem:
            log.warning("Host %s: its error could not be written: %s", self.host.name, problem)

    def _watch(self) -> None:
        """From connecting to losing the connection."""
        connection = self._connect(self.host)
        unsubscribe = None
        try:
            facts.write(self.host, self._book.learn(connection.facts()))
            self._facts_at = clock.steady()
            observe.forget_future(self.host)
            self._drop_news()
            if self._events:
                unsubscribe = connection.subscribe(self._news.put)
            self._listen(connection)
        finally:
            if unsubscribe:
                self._quietly(unsubscribe)
            self._quietly(connection.close)

    def _quietly(self, farewell: Callable[[], None]) -> None:
        try:
            farewell()
        except BerthError as error:
            log.debug("Host %s: leaving it: %s", self.host.name, error)

    def _drop_news(self) -> None:
        """What an earlier connection left; the full pass that follows knows better."""
        while not self._news.empty():
            self._news.get()

    # -- listening -------------------------------------------------------------------------------------------

    def _listen(self, connection: HostConnection) -> None:
        next_pass = clock.steady()
        while not self._stopping.is_set():
            if clock.steady() - self.silent_since > FACTS_EVERY / 2:
                self._facts_at = float("-inf")  # a hanging host may have been called so: have that cleared
            self.silent_since = clock.steady()
            if clock.steady() >= next_pass:
                next_pass = clock.steady() + env.observe_every
                self._pass(connection)
            self._tick(connection)
            batch = self._wait(max(min(next_pass, self._due()) - clock.steady(), 0.0))
            if any(event.kind is EventKind.CLOSED for event in batch) or not connection.alive():
                raise HostUnreachable(
                    N_("The connection to %(name)s was lost."),
                    fix=N_("Check that the host runs and the network reaches it; it is tried again by itself."),
                    name=self.host.name,
                )
            if batch:
                self._take(connection, batch)

    def _wait(self, seconds: float) -> list[HostEvent]:
        """The first event within `seconds`, and all that are there by then; in a burst, those of a moment more."""
        batch: list[HostEvent] = []
        until = clock.steady() + seconds
        try:
            while len(batch) < MOST_EVENTS:
                event = self._news.get(timeout=max(until - clock.steady(), 0.0))
                if event is None:
                    break
                if not batch:
                    until = clock.steady() + (GATHERED if clock.steady() - self._news_at < BURST else 0.0)
                batch.append(event)
        except queue.Empty:
            pass
        if batch:
            self._news_at = clock.steady()
        return batch

    def _take(self, connection: HostConnection, batch: list[HostEvent]) -> None:
        seen: dict[str, Observation] = {}
        for event in batch:
            if event.kind is EventKind.AGENT:
                self._guests.soon(UUID(event.uuid))
            # A machine undefined while it runs lives on until it stops: look instead of guessing.
            one = event.observation or connection.observe_one(event.uuid)
            if one.uuid not in seen or seen[one.uuid].at <= one.at:
                seen[one.uuid] = one
        observe.apply(self.host, seen.values())
        self._learn_ours(map(UUID, seen))
        self._follow(list(seen.values()), full_pass=False)

    def _pass(self, connection: HostConnection) -> None:
        at = clock.now()
        seen = connection.observe()
        observe.apply(self.host, seen, full_pass=True, at=at, last=self._last)
        if not self._last.held:
            self._ours = {pk for (pk,) in _OURS.rows(host=self.host.pk)}
            self._follow(list(seen), full_pass=True)
        readings = self._meter.read(seen)
        self._meter.keep(readings)
        idle = not any(one.power is PowerState.RUNNING for one in seen)
        self._book.note(readings, self._ours, idle=idle)
        if readings:
            publish("host", self.host.pk, "load")

    def _learn_ours(self, ids: "map[UUID]") -> None:
        new = set(ids) - self._ours
        if new:
            self._ours |= set(VirtualMachine.objects.filter(pk__in=new, host=self.host).values_list("pk", flat=True))

    def _follow(self, seen: list[Observation], *, full_pass: bool) -> None:
        self._guests.note(seen, self._ours, full_pass=full_pass)
        for one in seen:
            if one.power is not PowerState.RUNNING and (not full_pass or UUID(one.uuid) in self._shot_at):
                self._shot_at.pop(UUID(one.uuid), None)
                screens.forget(UUID(one.uuid))

    # -- now and then ----------------------------------------------------------------------------------------

    def _due(self) -> float:
        """When `_tick` has something to do, but for screens, of which it is told."""
        return min(
            self._facts_at + FACTS_EVERY, self._storage_at + STORAGE_EVERY, self._attached_at + ATTACHED_EVERY,
            self._guests.next_at,
        )  # fmt: skip

    def _tick(self, connection: HostConnection) -> None:
        now = clock.steady()
        if now - self._facts_at >= FACTS_EVERY:
            self._facts_at = now
            facts.write(self.host, self._book.learn(connection.facts()))
        if now - self._storage_at >= STORAGE_EVERY:
            self._storage_at = now
            if self._storage_due.of(self.host):
                self._chores.add("storage", partial(facts.measure_storage, self.host, connection))
        if now - self._attached_at >= ATTACHED_EVERY:
            self._attached_at = now
            self._chores.add("attachments", partial(attachments.look, self.host, connection))
            self._chores.add("addresses", partial(addresses.look, self.host, connection))
            self._chores.add("devices", partial(devices.look, self.host, connection))
        self._guests.tick(connection)
        for vm_id in self._wanted:
            if now - self._shot_at.get(vm_id, float("-inf")) >= screens.SHOT_EVERY:
                self._shot_at[vm_id] = now
                self._chores.add(("screen", vm_id), partial(_shoot, connection, vm_id))


_OURS = Statement(lambda: VirtualMachine.objects.filter(host=Given("host")).order_by().values_list("pk"))


def _shoot(connection: HostConnection, vm_id: UUID) -> None:
    picture, _ = connection.screenshot(str(vm_id))
    if screens.store(vm_id, picture):
        publish("vm", vm_id, "screen")
