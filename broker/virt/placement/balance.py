"""Which running machines a cluster's policy would move, and why. Pure: it proposes; a duty or an admin carries out.

First what affinity groups demand; then, by policy, overloaded hosts are relieved, under-used ones emptied, or numbers
evened out. Every move is checked by the rules of placement, with the moves before it counted.
"""

from dataclasses import dataclass
from uuid import UUID

from broker.core.errors import NoCapacity
from broker.core.text import gettext_noop as N_

from .choose import choose
from .facts import MIB, HostFacts
from .picture import MachineFacts, Picture
from .policy import BY_NUMBER, EVEN, SAVING
from .wishes import agrees

MOST_MOVES = 8


@dataclass(frozen=True, slots=True)
class Move:
    """A machine, from where to where, and why: a %-template over `params`."""

    machine: MachineFacts
    source: HostFacts
    target: HostFacts
    why: str
    params: tuple[tuple[str, str], ...] = ()


def balance(picture: Picture, *, most: int = MOST_MOVES) -> tuple[Move, ...]:
    """The moves the policy wants now, in order; none when all is well. Changes nothing."""
    trial = picture.copy()
    moves = _mend_affinity(trial)
    steps = {EVEN: (relieve,), SAVING: (relieve, _empty), BY_NUMBER: (_even_out,)}
    for step in steps.get(picture.policy.policy, ()):
        moves += step(trial)
    return tuple(moves[:most])


def _mend_affinity(picture: Picture) -> list[Move]:
    moves = []
    for machine in sorted(movable(picture), key=lambda one: (one.name, one.id)):
        host = picture.machines[machine.id].host
        demands = [one for one in picture.request(machine.id).affinities if one.hard]
        broken = next((one for one in demands if host is not None and not agrees(one, host)), None)
        if broken and (target := _target(picture, machine)):
            moves.append(_move(picture, machine, target, N_("“%(group)s” demands another host"), group=broken.group))
    return moves


def relieve(picture: Picture) -> list[Move]:
    """Take machines from overloaded hosts, the busiest first, until they are not, or nothing helps."""
    moves = []
    for host in sorted(picture.hosts.values(), key=lambda one: (-(one.load or 0), one.name)):
        for machine in sorted(movable(picture, host.id), key=lambda one: (one.busy, one.name)):
            now = picture.hosts[host.id]
            if not overloaded(picture, now):
                break
            target = _target(picture, machine, keep_below_high=True)
            if target is None:
                continue
            moves.append(
                _move(picture, machine, target, N_("%(host)s is overloaded (%(load)s percent, %(free)s MiB free)"),
                      host=now.name, load=round(now.load or 0), free=now.memory_left // MIB)
            )  # fmt: skip
    return moves


def _empty(picture: Picture) -> list[Move]:
    """Empty under-used hosts whose machines all find room on hosts that are in use."""
    moves = []
    for host in sorted(picture.hosts.values(), key=lambda one: (one.machines, one.load or 0, one.name)):
        machines = picture.on(host.id)
        if not machines or not _underused(picture, picture.hosts[host.id]) or not all(one.movable for one in machines):
            continue
        trial, planned = picture.copy(), []
        for machine in machines:
            target = _target(trial, machine, keep_below_high=True, in_use=True)
            if target is None:
                break
            planned.append((machine, target))
            trial.put(machine.id, target.id)
        if len(planned) == len(machines):
            moves += [
                _move(picture, machine, target, N_("%(host)s is hardly used (%(load)s percent) and can be emptied"),
                      host=host.name, load=round(host.load or 0))
                for machine, target in planned
            ]  # fmt: skip
    return moves


def _even_out(picture: Picture) -> list[Move]:
    moves: list[Move] = []
    policy = picture.policy
    while len(moves) < len(picture.machines):
        serving = [one for one in picture.hosts.values() if usable(one)]
        if len(serving) < 2:
            return moves
        fullest = max(serving, key=lambda one: (one.machines, one.name))
        fewest = min(one.machines for one in serving)
        if fullest.machines < policy.high_vm_count or fullest.machines - fewest < policy.migration_threshold:
            return moves
        for machine in movable(picture, fullest.id):
            target = _target(picture, machine)
            if target and target.machines + 1 < fullest.machines:
                moves.append(
                    _move(picture, machine, target, N_("%(host)s has %(more)s machines, others as few as %(fewest)s"),
                          host=fullest.name, more=fullest.machines, fewest=fewest)
                )  # fmt: skip
                break
        else:
            return moves
    return moves


def movable(picture: Picture, host: UUID | None = None) -> list[MachineFacts]:
    """The machines that could move now, of all hosts or of one."""
    found = [one for one in picture.machines.values() if one.movable and one.running and one.host in picture.hosts]
    return sorted((one for one in found if host in (None, one.host)), key=lambda one: (one.name, one.id))


def _target(
    picture: Picture, machine: MachineFacts, *, keep_below_high: bool = False, in_use: bool = False
) -> HostFacts | None:
    """The best other host that is fine with the machine, and would not be overloaded by it."""
    source = picture.machines[machine.id].host
    others = [host for host in picture.hosts.values() if host.id != source and (host.machines or not in_use)]
    if keep_below_high:
        others = [host for host in others if not would_overload(picture, host, machine)]
    try:
        return choose(picture.request(machine.id), others).host
    except NoCapacity:
        return None


def _move(picture: Picture, machine: MachineFacts, target: HostFacts, why: str, **params: object) -> Move:
    source = picture.machines[machine.id].host
    assert source is not None
    move = Move(
        machine, picture.hosts[source], target, why, tuple((name, str(value)) for name, value in params.items())
    )
    picture.put(machine.id, target.id)
    return move


def usable(host: HostFacts) -> bool:
    """Whether machines may be started on it now."""
    return host.schedulable and not host.error and not host.lost


def overloaded(picture: Picture, host: HostFacts) -> bool:
    """Whether it has more load, or less memory free, than the policy wants."""
    policy = picture.policy
    if host.load is not None and host.load > policy.high_utilization:
        return True
    least = policy.max_free_memory_for_over_utilized
    return bool(least and host.memory and host.memory_left < least * MIB)


def would_overload(picture: Picture, host: HostFacts, machine: MachineFacts) -> bool:
    """Whether the host would be, with this machine on it as well."""
    load = (host.load or 0.0) + (machine.busy * 100 / host.cpus if host.cpus else 0.0)
    if load > picture.policy.high_utilization:
        return True
    least = picture.policy.max_free_memory_for_over_utilized
    return bool(least and host.memory and host.memory_left - machine.request.memory_mib * MIB < least * MIB)


def _underused(picture: Picture, host: HostFacts) -> bool:
    policy = picture.policy
    if not usable(host) or host.load is None or host.load >= policy.low_utilization:
        return False
    most = policy.min_free_memory_for_under_utilized
    return not most or host.memory_left > most * MIB
