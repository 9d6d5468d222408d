"""Ask the guest agents, gently: often after a boot until one answers, seldom afterwards."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from broker.core import clock
from broker.virt import observe
from broker.virt.driver import GuestInfo, HostConnection, Observation, PowerState

from .chores import Chores

FIRST_ASK = 3.0
SLOWEST_ASK = 60.0
QUIET_ASK = 300.0
"""Of a guest that has not answered for long: an event tells when its agent comes."""
LONG = 20
"""So many questions without an answer, some ten minutes, are long."""
ANSWERED_ASK = 45.0
PEOPLE_ASK = 10.0
"""While somebody is logged in: that they log out is to be noticed soon."""
PER_TICK = 20


@dataclass(slots=True)
class _Ask:
    """When the guest of one run is asked next."""

    boot_id: str
    at: float
    misses: int = 0
    eager: bool = True  # to be asked at that moment, not when there is something to do anyway
    told: GuestInfo | None = None
    written: bool = False  # what was told is in the row


class Guests:
    """The asking schedule of one host. `note` and `tick` are called by the host's watcher, answers come in chores."""

    def __init__(self, chores: Chores, wake: Callable[[], None], *, events: bool):
        """`wake` has `next_at` looked at; `events`: whether the host tells when an agent comes."""
        self._chores, self._wake = chores, wake
        self._slowest = QUIET_ASK if events else SLOWEST_ASK
        self._asks: dict[UUID, _Ask] = {}
        self._met = False  # the machines that ran before anybody looked here
        self.next_at = float("inf")

    def note(self, observations: Iterable[Observation], ours: Collection[UUID], *, full_pass: bool = False) -> None:
        """Learn which of our machines run."""
        running = {UUID(one.uuid): one.boot_id for one in observations if one.power is PowerState.RUNNING}
        stopped = {UUID(one.uuid) for one in observations} - running.keys()
        gone = self._asks.keys() - running.keys() if full_pass else self._asks.keys() & stopped
        for vm_id in gone:
            del self._asks[vm_id]
        for vm_id, boot_id in running.items():
            known = self._asks.get(vm_id)
            if vm_id in ours and (known is None or known.boot_id != boot_id):
                at = clock.steady() + FIRST_ASK
                self._asks[vm_id] = _Ask(boot_id, at, misses=0 if self._met else LONG)
                self.next_at = min(self.next_at, at)
        self._met = self._met or full_pass

    def runs(self, vm_id: UUID) -> bool:
        """Whether it is one of our machines here and runs; any thread may ask."""
        return vm_id in self._asks

    def soon(self, vm_id: UUID) -> None:
        """Something about the agent changed: ask now."""
        if ask := self._asks.get(vm_id):
            ask.at, ask.misses, ask.eager = clock.steady(), 0, True
            self.next_at = ask.at

    def tick(self, connection: HostConnection) -> None:
        """Have those asked whose time has come, a few at a time. It comes with each pass too, early enough for most."""
        now = clock.steady()
        due = sorted((ask.at, vm_id) for vm_id, ask in self._asks.items() if ask.at <= now)
        for _, vm_id in due[:PER_TICK]:
            ask = self._asks[vm_id]
            ask.at = now + SLOWEST_ASK  # until the answer says better; a chore that is lost is made up for
            self._chores.add(("guest", vm_id), partial(self._ask, connection, vm_id, ask))
        if self.next_at <= now:
            self.next_at = min((ask.at for ask in self._asks.values() if ask.eager), default=float("inf"))
        if len(due) > PER_TICK:
            self.next_at = min(self.next_at, now + 1.0)

    def _ask(self, connection: HostConnection, vm_id: UUID, ask: _Ask) -> None:
        info = connection.guest(str(vm_id))
        ask.misses = 0 if info else ask.misses + 1
        if info:
            pause = PEOPLE_ASK if info.users else ANSWERED_ASK
        else:
            pause = self._slowest if ask.misses > LONG else min(FIRST_ASK * 1.4**ask.misses, SLOWEST_ASK)
        ask.at, ask.eager = clock.steady() + pause, pause <= PEOPLE_ASK
        if ask.eager and ask.at < self.next_at:
            self.next_at = ask.at
            self._wake()
        if ask.written and info == ask.told:
            return
        ask.written, ask.told = observe.write_guest(vm_id, ask.boot_id, info) is not None, info
