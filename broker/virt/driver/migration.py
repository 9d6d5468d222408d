"""A running machine moves to another host of the same driver. The source does the work and outlives who asked for it.

Beginning it is one call; from then on anybody asks the source how it goes, and both hosts where the machine is.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class DiskCopy:
    """A disk that only the source sees: copied along into the image at `path`, made before on the target."""

    target: str
    path: str


@dataclass(frozen=True, slots=True)
class MigrationOrder:
    """How a machine is to move. `uri`: the target as the source's hypervisor reaches it, with its own certificates.

    `seen_alike`: both hosts see the same files although the driver cannot tell (a directory that is shared by means
    outside it). Zero means the driver's default. `console_host`: where SPICE clients go on, empty: the target's name.
    `zero_copy`: where the source may lock enough memory for it; else as without.
    """

    uri: str
    encrypted: bool = True
    seen_alike: bool = False
    bandwidth_mib: int = 0
    parallel: int = 0
    zero_copy: bool = False
    auto_converge: bool = False
    compressed: bool = False
    post_copy: bool = False
    copies: tuple[DiskCopy, ...] = ()
    console_host: str = ""


@dataclass(frozen=True, slots=True)
class MigrationStats:
    """How a migration under way goes, in bytes and milliseconds. `passes`: how often memory was gone through."""

    total: int = 0
    remaining: int = 0
    sent: int = 0
    elapsed_ms: int = 0
    passes: int = 0
    dirty_per_second: int = 0
    expected_downtime_ms: int = 0
    throttle_percent: int = 0
    post_copy: bool = False


@dataclass(frozen=True, slots=True)
class MigrationResult:
    """What the target tells of a machine that came: how long the move took, and how long the guest stood still."""

    elapsed_ms: int
    downtime_ms: int


@dataclass(frozen=True, slots=True)
class SavedPoints:
    """What a host keeps of a machine's snapshots and checkpoints, as its own texts, parents first."""

    snapshots: tuple[str, ...] = ()
    current: str = ""
    checkpoints: tuple[str, ...] = ()


class Migration(Protocol):
    def begin_migration(self, uuid: str, order: MigrationOrder, *, patience: float = 2.0) -> None:
        """Begin the move; returns when it has ended or, after `patience` seconds, while it goes on.

        Done when it is under way already. Raises what ends it within that time.
        """
        ...

    def migration(self, uuid: str) -> MigrationStats | None:
        """How the machine's move away from this host goes; None when none is under way.

        Where this process knows what ended it badly, that is raised once.
        """
        ...

    def adjust_migration(self, uuid: str, *, downtime_ms: int = 0, bandwidth_mib: int = 0) -> None:
        """Change what is allowed while it goes on; done when it has ended."""
        ...

    def begin_post_copy(self, uuid: str) -> None:
        """Run the machine on the target now and fetch what is missing behind it; done when it has ended."""
        ...

    def cancel_migration(self, uuid: str) -> None:
        """End the move; the machine goes on here. Done when none is under way; Refused once post-copy has begun."""
        ...

    def finish_migration(self, uuid: str) -> None:
        """On the host where the machine runs when it has ended: put back what had to be taken out for the way."""
        ...

    def migrated(self, uuid: str) -> MigrationResult | None:
        """What this host tells of the machine's coming here; None when it does not know."""
        ...

    def saved_points(self, uuid: str) -> SavedPoints: ...
    def forget_points(self, uuid: str) -> None:
        """Drop what the host knows of snapshots and checkpoints, never their data."""
        ...

    def restore_points(self, uuid: str, points: SavedPoints) -> None:
        """Have the host know them; those it knows already stay."""
        ...
