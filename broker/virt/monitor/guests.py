"""Ask the guest agents, gently: often after a boot until one answers, seldom afterwards."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from broker.core import clock
from broker.virt import observe
from broker.virt.driver import HostConnection, Observation, PowerState

from .chores import Chores

FIRST_ASK = 3.0
SLOWEST_ASK = 60.0
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


class Guests:
    """The asking schedule of one host. `note` and `tick` are called by the host's watcher, answers come in chores."""

    def __init__(self, chores: Chores):
        self._chores = chores
        self._asks: dict[UUID, _Ask] = {}

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
                self._asks[vm_id] = _Ask(boot_id, clock.steady() + FIRST_ASK)

    def running(self) -> set[UUID]:
        """Those of our machines that run."""
        return set(self._asks)

    def soon(self, vm_id: UUID) -> None:
        """Something about the agent changed: ask now."""
        if ask := self._asks.get(vm_id):
            ask.at, ask.misses = clock.steady(), 0

    def tick(self, connection: HostConnection) -> None:
        """Have those asked whose time has come, a few at a time."""
        now = clock.steady()
        due = sorted((ask.at, vm_id) for vm_id, ask in self._asks.items() if ask.at <= now)
        for _, vm_id in due[:PER_TICK]:
            ask = self._asks[vm_id]
            ask.at = now + SLOWEST_ASK  # until the answer says better; a chore that is lost is made up for
            self._chores.add(("guest", vm_id), partial(self._ask, connection, vm_id, ask))

    def _ask(self, connection: HostConnection, vm_id: UUID, ask: _Ask) -> None:
        info = connection.guest(str(vm_id))
        ask.misses = 0 if info else ask.misses + 1
        answered = PEOPLE_ASK if info and info.users else ANSWERED_ASK
        ask.at = clock.steady() + (answered if info else min(FIRST_ASK * 1.4**ask.misses, SLOWEST_ASK))
        observe.write_guest(vm_id, ask.boot_id, info)
