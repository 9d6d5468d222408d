"""What to do with the machines of hosts that are lost: which are restarted where, in which order. Pure.

Admission is by memory and by every other rule of placement: what does not fit waits and says why. Memory that was
kept free for this case is used.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from broker.core.errors import NoCapacity, Reason

from .choose import choose
from .facts import MIB, HostFacts
from .picture import MachineFacts, Picture


@dataclass(frozen=True, slots=True)
class Restart:
    """A machine and the host it is restarted on; without one, `reasons` say why it waits."""

    machine: MachineFacts
    host: HostFacts | None
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of the machines of lost hosts. `stopped`: not highly available, so they stay off."""

    restarts: tuple[Restart, ...]
    waiting: tuple[Restart, ...]
    stopped: tuple[MachineFacts, ...]


def what_if(picture: Picture, lost: Iterable[UUID]) -> Outcome:
    """What would become of the machines if these hosts died now; changes nothing."""
    trial = picture.copy()
    victims = trial.lose(lost)
    outcome = place_all(trial, [one for one in victims if one.request.available])
    restarts = tuple(one for one in outcome if one.host is not None)
    waiting = tuple(one for one in outcome if one.host is None)
    return Outcome(restarts, waiting, tuple(one for one in victims if not one.request.available))


def place_all(picture: Picture, machines: Iterable[MachineFacts]) -> list[Restart]:
    """A host for each of the machines in turn, each counted for those after it."""
    decided = []
    for machine in machines:
        try:
            host = choose(picture.request(machine.id, recovering=True), picture.hosts.values()).host
        except NoCapacity as refusal:
            decided.append(Restart(machine, None, refusal.reasons))
            continue
        picture.put(machine.id, host.id)
        decided.append(Restart(machine, host))
    return decided


def reserves(picture: Picture, failing: int) -> dict[UUID, int]:
    """Bytes to keep free on each host, so that the highly available machines of `failing` others find room.

    The most that as many others could lose, shared out among those that would be left.
    """
    held: dict[UUID, int] = dict.fromkeys(picture.hosts, 0)
    for machine in picture.machines.values():
        if machine.host in held and machine.request.available and machine.running:
            held[machine.host] += machine.request.memory_mib * MIB
    left = len(held) - failing
    if failing < 1 or left < 1:
        return dict.fromkeys(held, 0)
    return {
        host: -(-sum(sorted((held[one] for one in held if one != host), reverse=True)[:failing]) // left)
        for host in held
    }
