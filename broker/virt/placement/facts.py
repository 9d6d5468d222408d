"""What placement knows: the request and each host, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from .policy import Policy

MIB = 1024**2
# What QEMU needs beside the guest's memory: measured 30 to 90 MiB for small guests.
OVERHEAD_MIB = 64


@dataclass(frozen=True, slots=True)
class Affinity:
    """What one group says of the machine: be on one of `hosts` (`together`), or on none of them.

    For a group of machines, `hosts` are those where the others run now; for one of machines and hosts, its hosts.
    """

    group: str
    together: bool
    hard: bool
    hosts: frozenset[UUID]
    of: str = "machines"  # or "hosts"


@dataclass(frozen=True, slots=True)
class Request:
    """A machine that needs a host. `storages`: the ids of all storage its disks and their backing lie on.

    `host`: the only host that will do, when something binds the machine to it; `devices_on`: the one whose PCI and USB
    devices it has; `host_cpus`: the processors of a host that it is pinned to. Memory in MiB; `page_kib`: the size of
    the pages it is in, 0 for ordinary ones; `memory_nodes`: the NUMA nodes that it comes from, from them alone if
    `memory_strict`. `available`: it is highly available; `recovering`: it lost its host, so memory kept for such a case
    may be used. `leaving`: the host it runs on and is to move away from.
    """

    cluster: UUID
    memory_mib: int
    graphics: frozenset[str] = frozenset({"vnc"})
    storages: frozenset[UUID] = frozenset()
    host: UUID | None = None
    devices_on: UUID | None = None
    host_cpus: frozenset[int] = frozenset()
    page_kib: int = 0
    memory_nodes: frozenset[int] = frozenset()
    memory_strict: bool = False
    vcpus: int = 1
    available: bool = False
    recovering: bool = False
    leaving: UUID | None = None
    affinities: tuple[Affinity, ...] = ()
    policy: Policy = field(default_factory=Policy)

    @property
    def ordinary_mib(self) -> int:
        """What it takes of the memory that is no huge pages."""
        return OVERHEAD_MIB + (0 if self.page_kib else self.memory_mib)


@dataclass(frozen=True, slots=True)
class HostFacts:
    """A host as rules see it. Memory in bytes; `seen_ago` in seconds, None when it was never observed.

    `promised` is memory of machines being started, which the last observation cannot know of yet. `machines` counts
    those that run and those being started, `given_mib` and `vcpus` what these were given. `load` is the mean processor
    load in percent over the policy's minutes, None when nothing was measured. `models` are the processor models the
    host can give its guests, and `online` the numbers of its processors, both empty when not observed.
    `lost`: it was found dead, and has not come back. `asleep`: it was switched off to save power.
    `reserved` is memory kept free for machines of hosts that fail.
    `nodes`: its NUMA nodes and the bytes of each. `pages`: of each node and size in KiB the free huge
    pages, and `pages_promised`: by size those given to machines that do not hold them yet. `on_nodes`: what machines on
    it take from certain nodes, in MiB by these nodes.
    """

    id: UUID
    name: str
    cluster: UUID
    schedulable: bool
    error: str
    seen_ago: float | None
    memory: int
    memory_free: int
    promised: int
    machines: int
    graphics: frozenset[str]
    storages: frozenset[UUID]
    cpus: int = 0
    vcpus: int = 0
    given_mib: int = 0
    load: float | None = None
    models: frozenset[str] = frozenset()
    online: frozenset[int] = frozenset()
    nodes: tuple[tuple[int, int], ...] = ()
    pages: tuple[tuple[int, int, int], ...] = ()
    pages_promised: Mapping[int, int] = field(default_factory=dict)
    on_nodes: Mapping[frozenset[int], int] = field(default_factory=dict)
    lost: bool = False
    asleep: bool = False
    reserved: int = 0

    @property
    def memory_left(self) -> int:
        """Bytes that a further machine may take."""
        return self.memory_free - self.promised
