"""A cluster as plain values, on which planners try things: machines are put here and there, and rules asked. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from .facts import MIB, Affinity, HostFacts, Request
from .policy import Policy


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """A machine that runs or should. `busy`: how many processors it keeps busy. `priority`: more is restarted sooner.

    `movable`: it could be migrated now (it runs, nothing binds it, no job is at work on it).
    """

    id: UUID
    name: str
    host: UUID | None
    request: Request
    priority: int = 0
    running: bool = True
    movable: bool = True
    busy: float = 0.0


@dataclass(frozen=True, slots=True)
class Group:
    """An affinity group with its members by id. `together` None: it says nothing of that."""

    name: str
    machines: frozenset[UUID]
    hosts: frozenset[UUID] = frozenset()
    machines_together: bool | None = None
    machines_hard: bool = True
    hosts_together: bool | None = None
    hosts_hard: bool = True


def wishes_of(machine: UUID, groups: Iterable[Group], where: Mapping[UUID, UUID | None]) -> tuple[Affinity, ...]:
    """What the groups of a machine want of its host, given `where` machines run."""
    found = []
    for group in groups:
        if machine not in group.machines:
            continue
        if group.machines_together is not None:
            others = {host for one in group.machines - {machine} if (host := where.get(one)) is not None}
            found.append(Affinity(group.name, group.machines_together, group.machines_hard, frozenset(others)))
        if group.hosts_together is not None:
            found.append(Affinity(group.name, group.hosts_together, group.hosts_hard, group.hosts, of="hosts"))
    return tuple(found)


class Picture:
    """The hosts and machines of a cluster; `put` changes it, `copy` keeps the original."""

    def __init__(
        self,
        policy: Policy,
        hosts: Iterable[HostFacts],
        machines: Iterable[MachineFacts],
        groups: Iterable[Group] = (),
    ):
        self.policy, self.groups = policy, tuple(groups)
        self.hosts = {host.id: host for host in hosts}
        self.machines = {machine.id: machine for machine in machines}
        self._groups: dict[UUID, list[Group]] = {}
        for group in self.groups:
            for member in group.machines:
                self._groups.setdefault(member, []).append(group)

    def copy(self) -> "Picture":
        return Picture(self.policy, self.hosts.values(), self.machines.values(), self.groups)

    def request(self, machine: UUID, *, recovering: bool = False) -> Request:
        """What the machine needs of a host as things are now."""
        wanted, groups = self.machines[machine].request, self._groups.get(machine, ())
        if groups:
            where = {one: self.machines[one].host for group in groups for one in group.machines if one in self.machines}
            wanted = replace(wanted, affinities=wishes_of(machine, groups, where))
        return replace(wanted, recovering=recovering, policy=self.policy)

    def put(self, machine: UUID, host: UUID | None) -> None:
        """Count the machine as running on `host`, or nowhere."""
        one = self.machines[machine]
        if one.host in self.hosts:
            self.hosts[one.host] = _loaded(self.hosts[one.host], one, -1)
        if host is not None:
            self.hosts[host] = _loaded(self.hosts[host], one, 1)
        self.machines[machine] = replace(one, host=host)

    def lose(self, hosts: Iterable[UUID]) -> list[MachineFacts]:
        """Mark hosts as dead; returns the machines that ran there, now nowhere, the most important first."""
        lost = set(hosts)
        victims = [one for one in self.machines.values() if one.host in lost and one.running]
        for victim in victims:
            self.put(victim.id, None)
        for host in lost & self.hosts.keys():
            self.hosts[host] = replace(self.hosts[host], lost=True)
        victims.sort(key=lambda one: (-one.priority, -one.request.memory_mib, one.name, one.id))
        return victims

    def on(self, host: UUID) -> list[MachineFacts]:
        """The machines running on a host, by name."""
        return sorted((one for one in self.machines.values() if one.host == host), key=lambda one: (one.name, one.id))


def _loaded(host: HostFacts, machine: MachineFacts, sign: int) -> HostFacts:
    load = host.load
    if load is not None and host.cpus:
        load = max(load + sign * machine.busy * 100 / host.cpus, 0.0)
    return replace(
        host,
        promised=host.promised + sign * machine.request.ordinary_mib * MIB,
        pages_promised=_paged(host.pages_promised, machine.request, sign),
        on_nodes=_noded(host.on_nodes, machine.request, sign),
        machines=host.machines + sign,
        vcpus=host.vcpus + sign * machine.request.vcpus,
        given_mib=host.given_mib + sign * machine.request.memory_mib,
        load=load,
    )


def _paged(promised: Mapping[int, int], request: Request, sign: int) -> Mapping[int, int]:
    size = request.page_kib
    return {**promised, size: promised.get(size, 0) + sign * (request.memory_mib * 1024 // size)} if size else promised


def _noded(there: Mapping[frozenset[int], int], request: Request, sign: int) -> Mapping[frozenset[int], int]:
    nodes = request.memory_nodes
    return {**there, nodes: there.get(nodes, 0) + sign * request.memory_mib} if nodes else there
