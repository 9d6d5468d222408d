"""What a host says of itself, of its machines and of their guests."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol

from .screens import ScreenParts


class PowerState(StrEnum):
    """What the hypervisor says of a machine."""

    OFF = "off"
    RUNNING = "running"
    PAUSED = "paused"
    SUSPENDED = "suspended"  # off, with its memory saved on disk
    CRASHED = "crashed"
    MISSING = "missing"  # the host no longer knows it
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class HugePages:
    """What a host keeps for guests whose memory is in pages of `kib` KiB: so many, and so many of them free."""

    kib: int
    total: int
    free: int


@dataclass(frozen=True, slots=True)
class HostNode:
    """A NUMA node of a host: the numbers of its processors that are in use, its memory in bytes, its huge pages."""

    number: int
    cpus: frozenset[int]
    memory: int = 0
    pages: tuple[HugePages, ...] = ()


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What a host is. `emulated`: KVM does not work there, guests run in software.

    `ticked_seconds`: what its processors have spent since its kernel started, at work or idle, all together; falls only
    when the host is rebooted. None where it does not say. `nodes`: empty where it tells of none.
    """

    uuid: str
    hostname: str
    hypervisor: str  # e.g. "QEMU 7.2.22"
    manager: str  # e.g. "libvirt 9.0.0"
    cpus: int
    cpu_model: str
    memory: int
    memory_free: int
    emulated: bool
    emulated_reason: str = ""
    graphics: frozenset[str] = frozenset({"vnc"})  # "vnc", "spice"
    cpu_models: frozenset[str] = frozenset()  # what its guests' processors can be
    ticked_seconds: int | None = None
    nodes: tuple[HostNode, ...] = ()


@dataclass(frozen=True, slots=True)
class ConsoleEndpoint:
    """Where a machine's console listens: a unix socket path, or a TLS host and port; of SPICE what it has beside."""

    kind: Literal["vnc", "spice"]
    unix: str = ""
    host: str = ""
    port: int = 0
    tls: bool = False
    parts: ScreenParts | None = None


@dataclass(frozen=True, slots=True)
class Counters:
    """Monotonic counters and gauges of a running machine; None where the host does not say."""

    cpu_time_ns: int | None = None
    memory_used: int | None = None
    disk_read: int | None = None
    disk_written: int | None = None
    net_received: int | None = None
    net_sent: int | None = None


UNTOLD = Counters()
"""Of a machine that does not run, or whose host tells no counters now."""

UNEXPLAINED = "unknown"
"""The reason of a machine that is off and of whose end its host kept nothing, as after a reboot."""
MIGRATED = "migrated"
"""Why a machine is off on the host that it was moved away from."""
NO_SPACE = "no space"
"""The reason of a machine that its host paused because a disk could not grow."""
IO_ERROR = "ioerror"
"""The same because a disk could not be read or written."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One machine as its host sees it at `at`.

    `boot_id` names one run of the machine: it differs after each start and is empty when not running.
    `definition` is a digest of the persistent definition: it changes when somebody edits it.
    `mark` is the id Berth wrote into the definition's metadata, empty for a foreign machine.
    """

    uuid: str
    name: str
    power: PowerState
    at: datetime
    reason: str = ""
    boot_id: str = ""
    definition: str = ""
    mark: str = ""
    vcpus: int = 0
    memory: int = 0
    consoles: tuple[ConsoleEndpoint, ...] = ()
    counters: Counters = UNTOLD


class EventKind(StrEnum):
    POWER = "power"  # started, stopped, paused, resumed, crashed, …: `observation` tells
    DEFINED = "defined"
    UNDEFINED = "undefined"
    AGENT = "agent"  # the guest agent connected or went away
    CLOSED = "closed"  # the connection to the host is gone; nothing further will come


@dataclass(frozen=True, slots=True)
class HostEvent:
    """News from a host. `observation` is None for UNDEFINED and CLOSED."""

    kind: EventKind
    uuid: str
    at: datetime
    detail: str = ""
    observation: Observation | None = None


@dataclass(frozen=True, slots=True)
class GuestInfo:
    """What the guest agent tells; an empty field was not told."""

    hostname: str = ""
    os_name: str = ""
    os_version: str = ""
    addresses: tuple[str, ...] = ()
    users: tuple[str, ...] = ()


class Inventory(Protocol):
    def facts(self) -> HostFacts: ...
    def observe(self) -> tuple[Observation, ...]:
        """Every machine on the host in one bulk call, foreign ones too."""
        ...

    def observe_one(self, uuid: str) -> Observation:
        """One machine; power MISSING when the host does not know it."""
        ...

    def guest(self, uuid: str) -> GuestInfo | None:
        """What the guest agent tells, or None when no agent answers within 5 s."""
        ...
