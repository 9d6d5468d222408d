"""Copies of running machines' disks, whole or only what changed, and the checks that volumes are what they were."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from .storage import StorageSpec


@dataclass(frozen=True, slots=True)
class BackupLook:
    """How far a backup is. `running` False: it has ended, well when `error` is empty."""

    running: bool
    done: int = 0
    total: int = 0
    error: str = ""

    @property
    def share(self) -> float:
        return min(self.done / self.total, 1.0) if self.total else 0.0


class Backups(Protocol):
    """A checkpoint is the moment of a backup: from it on, the hypervisor notes what the guest changes."""

    def begin_backup(self, uuid: str, disks: Mapping[str, str], *, checkpoint: str, since: str = "") -> bool:
        """Begin to write the disks of a running machine as they are now; returns whether its guest was held meanwhile.

        `disks`: guest target ("vda") → path of a volume made for it by `create_volume`. With `since` only what
        changed after that checkpoint. Done when `checkpoint` is there already. Raises Refused for a machine that is
        off, and when what changed is not known any more.
        """
        ...

    def look_at_backup(self, uuid: str) -> BackupLook | None:
        """The backup under way, or the last that ended in this run of the machine; None when it is not known."""
        ...

    def stop_backup(self, uuid: str) -> None:
        """Break off the backup under way; done when there is none."""
        ...

    def checkpoints(self, uuid: str) -> tuple[str, ...]:
        """The names of the machine's checkpoints, oldest first."""
        ...

    def drop_checkpoint(self, uuid: str, name: str) -> None:
        """Forget one checkpoint of a running machine, and keep noting changes for the one before it."""
        ...

    def forget_checkpoints(self, uuid: str, names: tuple[str, ...]) -> None:
        """Forget checkpoints whatever became of their notes; the next backup has to be a full one."""
        ...

    def checksum(
        self, storage: StorageSpec, name: str, *, progress: Callable[[float], None] = lambda share: None
    ) -> tuple[str, int]:
        """SHA-256 and length of a volume's bytes, container and all. Raises NotFound."""
        ...

    def same_contents(self, storage: StorageSpec, one: str, other: str) -> bool:
        """Whether a guest would read the same from both volumes. May raise Unsupported."""
        ...
