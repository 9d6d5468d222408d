"""What a hypervisor driver is: small protocols over frozen dataclasses.

A driver is a folder in `drivers/` whose package offers `connect(uri) -> HostConnection`. Drivers import
neither Django nor Celery nor models nor each other. Every verb here is idempotent by name or UUID: asking
for what already is so succeeds, so that a resumed job may ask twice.

Units: memory and sizes in bytes unless a name says `_mib`; times are aware UTC datetimes or seconds;
CPU time in nanoseconds. Errors: the DriverError family of `errors.py` and nothing else.
Each module here holds one field of work; a new one adds its protocol to `HostConnection` below.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from .adopting import Adopting as Adopting
from .adopting import FoundDisk as FoundDisk
from .adopting import FoundMachine as FoundMachine
from .adopting import FoundNic as FoundNic
from .backups import BackupLook as BackupLook
from .backups import Backups as Backups
from .changing import Changes as Changes
from .changing import Running as Running
from .consoles import Consoles as Consoles
from .consoles import SerialStream as SerialStream
from .copies import Copies as Copies
from .devices import UNFIT as UNFIT
from .devices import Devices as Devices
from .devices import DeviceSpec as DeviceSpec
from .devices import HostDevice as HostDevice
from .disks import Disks as Disks
from .disks import Layers as Layers
from .errors import DriverError as DriverError
from .errors import HostUnreachable as HostUnreachable
from .errors import Locked as Locked
from .errors import NoSpace as NoSpace
from .errors import NotFound as NotFound
from .errors import Refused as Refused
from .errors import StorageSilent as StorageSilent
from .errors import Unsupported as Unsupported
from .errors import lain_on as lain_on
from .errors import no_volume as no_volume
from .errors import not_running as not_running
from .guests import GuestCommands as GuestCommands
from .guests import GuestRun as GuestRun
from .hardware import Hardware as Hardware
from .machines import Definitions as Definitions
from .machines import DiskLimits as DiskLimits
from .machines import DiskSpec as DiskSpec
from .machines import LunPlace as LunPlace
from .machines import MachineSpec as MachineSpec
from .machines import NicSpec as NicSpec
from .machines import Power as Power
from .migration import DiskCopy as DiskCopy
from .migration import Migration as Migration
from .migration import MigrationOrder as MigrationOrder
from .migration import MigrationResult as MigrationResult
from .migration import MigrationStats as MigrationStats
from .migration import SavedPoints as SavedPoints
from .networks import Lease as Lease
from .networks import Networks as Networks
from .networks import NetworkSpec as NetworkSpec
from .observation import IO_ERROR as IO_ERROR
from .observation import MIGRATED as MIGRATED
from .observation import NO_SPACE as NO_SPACE
from .observation import UNEXPLAINED as UNEXPLAINED
from .observation import UNTOLD as UNTOLD
from .observation import ConsoleEndpoint as ConsoleEndpoint
from .observation import Counters as Counters
from .observation import EventKind as EventKind
from .observation import GuestInfo as GuestInfo
from .observation import HostEvent as HostEvent
from .observation import HostFacts as HostFacts
from .observation import HostNode as HostNode
from .observation import HugePages as HugePages
from .observation import Inventory as Inventory
from .observation import Observation as Observation
from .observation import PowerState as PowerState
from .screens import ScreenParts as ScreenParts
from .storage import LUN_PATHS as LUN_PATHS
from .storage import NOTES as NOTES
from .storage import Notes as Notes
from .storage import StorageInfo as StorageInfo
from .storage import StorageSpec as StorageSpec
from .storage import Transfers as Transfers
from .storage import VolumeInfo as VolumeInfo
from .storage import Volumes as Volumes
from .trays import Trays as Trays


@runtime_checkable
class HostConnection(
    Inventory,
    Definitions,
    Adopting,
    Trays,
    Power,
    Volumes,
    Notes,
    Transfers,
    Backups,
    Disks,
    Layers,
    Copies,
    Changes,
    Devices,
    GuestCommands,
    Networks,
    Consoles,
    Migration,
    Protocol,
):
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
