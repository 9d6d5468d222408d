"""What a machine should be, and the verbs that make it so and run it."""

from dataclasses import dataclass, field
from typing import Literal, Protocol

from .devices import DeviceSpec
from .hardware import Hardware
from .screens import ScreenParts


@dataclass(frozen=True, slots=True)
class LunPlace:
    """Where QEMU finds a disk that is a LUN: a portal, the target, and whom it says it is. `secret` is on the host."""

    host: str
    port: int
    target: str
    lun: int
    user: str = ""
    secret: str = ""


@dataclass(frozen=True, slots=True)
class DiskLimits:
    """The most that a guest gets of a disk, in bytes and operations a second; 0: no limit. In all, or each way."""

    total_bytes: int = 0
    read_bytes: int = 0
    write_bytes: int = 0
    total_iops: int = 0
    read_iops: int = 0
    write_iops: int = 0


@dataclass(frozen=True, slots=True)
class DiskSpec:
    """A disk as attached: `path` on the host, explicit `format`, guest `target` ("vda").

    `bus`: "virtio", "scsi" or "sata"; one on SATA neither comes nor goes while its machine runs.
    `lun` is the driver's to fill in, for a path that is no file but the name of a volume on a LUN.
    `limits`: None leaves those that somebody else set; so do `discard`, `detect_zeroes` and `on_error`, which says
    whether a disk that is full or fails pauses the machine ("stop"), or its guest is told ("report").
    `shareable`: other machines have it, too, so it is raw and the host keeps nothing of it in a cache.
    """

    path: str
    format: Literal["qcow2", "raw"]
    target: str
    bus: str = "virtio"
    device: Literal["disk", "cdrom"] = "disk"
    serial: str = ""
    readonly: bool = False
    lun: LunPlace | None = None
    limits: DiskLimits | None = None
    shareable: bool = False
    discard: str | None = None
    detect_zeroes: str | None = None
    on_error: Literal["stop", "report"] | None = None


@dataclass(frozen=True, slots=True)
class NicSpec:
    """A network card; `network` is the driver's name of a network made by `ensure_network`.

    `connected`: whether its cable is in. `in_kib` and `out_kib`: the most KiB a second, 0 for no limit.
    `guard`: what it may pretend to be: its own "addresses", its own "mac", or anything ("off").
    """

    mac: str
    network: str
    model: str = "virtio"
    connected: bool = True
    in_kib: int = 0
    out_kib: int = 0
    guard: Literal["addresses", "mac", "off"] = "off"


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """What a machine should be. What this does not speak of is left as it is in an existing definition.

    `screen` None: not spoken of.
    """

    uuid: str
    name: str
    vcpus: int
    memory_mib: int
    disks: tuple[DiskSpec, ...]
    nics: tuple[NicSpec, ...] = ()
    devices: tuple[DeviceSpec, ...] = ()
    title: str = ""
    mark: str = ""
    machine: str = "q35"
    graphics: tuple[Literal["vnc", "spice"], ...] = ("vnc",)
    video: str = "virtio"
    clipboard: bool = True
    serial: bool = True
    agent: bool = True
    hardware: Hardware = field(default_factory=Hardware)
    screen: ScreenParts | None = None


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
    def start(self, uuid: str, *, boot: str = "", cd: DiskSpec | None = None) -> None:
        """Run it, from saved memory when there is some; done when already running.

        `boot`: kinds of devices in their order, and `cd`: what lies in its drive, for this run only; the definition
        stays as it is.
        """
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
