"""What a hypervisor driver is: small protocols over frozen dataclasses.

A driver is a folder in `drivers/` whose package offers `connect(uri) -> HostConnection`. Drivers import
neither Django nor Celery nor models nor each other. Every verb here is idempotent by name or UUID: asking
for what already is so succeeds, so that a resumed job may ask twice.

Units: memory and sizes in bytes unless a name says `_mib`; times are aware UTC datetimes or seconds;
CPU time in nanoseconds. Errors: the DriverError family below and nothing else.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from broker.virt.driver_errors import (
    DriverError as DriverError,
)
from broker.virt.driver_errors import (
    HostUnreachable as HostUnreachable,
)
from broker.virt.driver_errors import (
    Locked as Locked,
)
from broker.virt.driver_errors import (
    NoSpace as NoSpace,
)
from broker.virt.driver_errors import (
    NotFound as NotFound,
)
from broker.virt.driver_errors import (
    Refused as Refused,
)
from broker.virt.driver_errors import (
    Unsupported as Unsupported,
)


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
class HostFacts:
    """What a host is. `emulated`: KVM does not work there, guests run in software."""

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


@dataclass(frozen=True, slots=True)
class ConsoleEndpoint:
    """Where a machine's console listens: a unix socket path, or a TLS host and port."""

    kind: Literal["vnc", "spice"]
    unix: str = ""
    host: str = ""
    port: int = 0
    tls: bool = False


@dataclass(frozen=True, slots=True)
class Counters:
    """Monotonic counters and gauges of a running machine; None where the host does not say."""

    cpu_time_ns: int | None = None
    memory_used: int | None = None
    disk_read: int | None = None
    disk_written: int | None = None
    net_received: int | None = None
    net_sent: int | None = None


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
    counters: Counters = field(default_factory=Counters)


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


@dataclass(frozen=True, slots=True)
class GuestRun:
    """How a command in a guest ended: its exit code, and the beginning of what it said."""

    code: int
    output: str = ""


@dataclass(frozen=True, slots=True)
class DiskSpec:
    """A disk as attached: `path` on the host, explicit `format`, guest `target` ("vda")."""

    path: str
    format: Literal["qcow2", "raw"]
    target: str
    bus: str = "virtio"
    device: Literal["disk", "cdrom"] = "disk"
    serial: str = ""
    readonly: bool = False


@dataclass(frozen=True, slots=True)
class NicSpec:
    """A network card; `network` is the driver's name of a network made by `ensure_network`."""

    mac: str
    network: str
    model: str = "virtio"


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """What a machine should be. What this does not speak of is left as it is in an existing definition."""

    uuid: str
    name: str
    vcpus: int
    memory_mib: int
    disks: tuple[DiskSpec, ...]
    nics: tuple[NicSpec, ...] = ()
    title: str = ""
    mark: str = ""
    machine: str = "q35"
    graphics: tuple[Literal["vnc", "spice"], ...] = ("vnc",)
    video: str = "virtio"
    clipboard: bool = True
    serial: bool = True
    agent: bool = True


@dataclass(frozen=True, slots=True)
class VolumeInfo:
    """A disk image. `path` is what a DiskSpec names; `backing` is the path below it or empty."""

    name: str
    path: str
    format: str
    capacity: int
    allocation: int
    backing: str = ""


@dataclass(frozen=True, slots=True)
class StorageInfo:
    capacity: int
    allocation: int
    available: int


@dataclass(frozen=True, slots=True)
class StorageSpec:
    """A place for volumes. For kind "dir", `path` is a directory on the host, made if missing."""

    name: str
    kind: Literal["dir"]
    path: str


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """kind "nat": a private subnet behind the host; "isolated": without a way out; "bridge": joins `bridge`."""

    name: str
    uuid: str
    kind: Literal["nat", "isolated", "bridge"]
    bridge: str = ""
    subnet: str = ""  # CIDR for nat and isolated, e.g. "192.0.2.0/24"


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


class Definitions(Protocol):
    def define(self, spec: MachineSpec) -> None:
        """Make the persistent definition say what `spec` says; unknown elements survive."""
        ...

    def undefine(self, uuid: str) -> None:
        """Forget the machine, its saved memory and snapshot metadata; done when already gone."""
        ...

    def definition(self, uuid: str) -> str:
        """The persistent definition as the driver's own text. Raises NotFound."""
        ...


class Power(Protocol):
    def start(self, uuid: str) -> None:
        """Run it, from saved memory when there is some; done when already running."""
        ...

    def shutdown(self, uuid: str, *, via: Literal["acpi", "agent"]) -> None:
        """Ask the guest to power off; returns once asked. `agent` raises Refused without one."""
        ...

    def power_off(self, uuid: str) -> None: ...
    def reboot(self, uuid: str) -> None:
        """Ask the guest to restart; returns once asked."""
        ...

    def reset(self, uuid: str) -> None: ...
    def pause(self, uuid: str) -> None: ...
    def resume(self, uuid: str) -> None: ...
    def suspend(self, uuid: str) -> None:
        """Save memory to disk and stop; blocks until saved."""
        ...

    def discard_saved(self, uuid: str) -> None:
        """Drop saved memory, so that the next start boots."""
        ...


class Volumes(Protocol):
    def ensure_storage(self, spec: StorageSpec) -> StorageInfo: ...
    def storage(self, spec: StorageSpec) -> StorageInfo: ...
    def volumes(self, storage: StorageSpec) -> tuple[VolumeInfo, ...]: ...
    def volume(self, storage: StorageSpec, name: str) -> VolumeInfo | None: ...
    def create_volume(
        self, storage: StorageSpec, name: str, *, capacity: int = 0, backing: VolumeInfo | None = None
    ) -> VolumeInfo:
        """A qcow2 volume: blank of `capacity` bytes, or an overlay on `backing` (capacity 0: the same)."""
        ...

    def copy_volume(
        self,
        storage: StorageSpec,
        name: str,
        *,
        source: VolumeInfo,
        progress: Callable[[float], None] = lambda share: None,
    ) -> VolumeInfo:
        """An independent qcow2 copy. As long as `<name>.part` is there it is not whole and does not count."""
        ...

    def delete_volume(self, storage: StorageSpec, name: str) -> None: ...


class Transfers(Protocol):
    """Volumes to and from files of this machine. `progress` hears shares of 0..1 and may raise to end it."""

    def fetch_volume(
        self, storage: StorageSpec, name: str, target: Path, *, progress: Callable[[float], None] = lambda share: None
    ) -> None:
        """Write the volume's bytes, container and all, to the file `target`. May raise Unsupported."""
        ...

    def store_volume(
        self, storage: StorageSpec, name: str, source: Path, *, progress: Callable[[float], None] = lambda share: None
    ) -> VolumeInfo:
        """Make a volume of the qcow2 file `source`; as with a copy, `<name>.part` marks one that is not whole."""
        ...


class GuestCommands(Protocol):
    def begin_in_guest(self, uuid: str, script: str) -> str:
        """Have the guest agent run a shell script as root; returns what to ask `ended_in_guest` with.

        Raises Refused without an agent that does this.
        """
        ...

    def ended_in_guest(self, uuid: str, run: str) -> GuestRun | None:
        """How the script ended, None while it runs. An end is told once."""
        ...


class Networks(Protocol):
    def ensure_network(self, spec: NetworkSpec) -> None: ...
    def remove_network(self, name: str) -> None: ...


class Consoles(Protocol):
    def screenshot(self, uuid: str) -> tuple[bytes, str]:
        """The picture on the screen and its media type. Raises Refused when not running."""
        ...

    def serial(self, uuid: str, *, force: bool = False) -> AbstractContextManager["SerialStream"]: ...
    def send_keys(self, uuid: str, keycodes: Iterable[int], *, hold_ms: int = 50) -> None:
        """Press the keys together (Linux input keycodes)."""
        ...


class SerialStream(Protocol):
    def read(self, timeout: float) -> bytes:
        """What the guest wrote since, b"" when nothing came within `timeout` seconds."""
        ...

    def write(self, data: bytes) -> None: ...


@runtime_checkable
class HostConnection(Inventory, Definitions, Power, Volumes, Transfers, GuestCommands, Networks, Consoles, Protocol):
    """A live connection to one host; safe to use from many threads, never across a fork."""

    def subscribe(self, callback: Callable[[HostEvent], None]) -> Callable[[], None]:
        """Call `callback` (from the driver's thread; it must be quick) for each event; returns the unsubscriber."""
        ...

    def alive(self) -> bool: ...
    def close(self) -> None: ...


class Driver(Protocol):
    """What `drivers/<name>/__init__.py` offers."""

    name: str

    def connect(self, uri: str, *, timeout: float = 5.0) -> HostConnection:
        """Open a connection within `timeout` seconds or raise HostUnreachable."""
        ...
