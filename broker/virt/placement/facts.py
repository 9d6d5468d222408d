"""What placement knows: the request and each host, as plain values."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Request:
    """A machine that needs a host. `storages`: the ids of all storage its disks and their backing lie on.

    `host`: the only host that will do, when something binds the machine to it. Memory in MiB.
    """

    cluster: UUID
    memory_mib: int
    graphics: frozenset[str] = frozenset({"vnc"})
    storages: frozenset[UUID] = frozenset()
    host: UUID | None = None


@dataclass(frozen=True, slots=True)
class HostFacts:
    """A host as rules see it. Memory in bytes; `seen_ago` in seconds, None when it was never observed.

    `promised` is memory of machines being started, which the last observation cannot know of yet.
    `machines` counts those that run and those being started.
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

    @property
    def memory_left(self) -> int:
        """Bytes that a further machine may take."""
        return self.memory_free - self.promised
