"""Storages, their volumes, and the ways of bytes in and out of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol


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
    """A place for volumes: `path` is a directory on the host, made if missing.

    For kind "nfs" the host mounts `export` of `server` there, in the NFS `version` ("4.1"; "": what they agree on),
    by the options `mount` ("soft", "timeo=100"; none: as the driver sees fit).
    For kind "iscsi" `server` are portals with a comma between them, `export` is the target's name, `luns` which of its
    LUNs may be used (none: all), the first of them for Berth's table. There is no directory: `path` is LUN_PATHS and
    the storage's name, and a volume's path a name that the driver understands.
    """

    name: str
    kind: Literal["dir", "nfs", "iscsi"]
    path: str
    server: str = ""
    export: str = ""
    version: str = ""
    mount: tuple[str, ...] = ()
    luns: tuple[int, ...] = ()
    user: str = ""
    password: str = field(default="", repr=False)


LUN_PATHS = "/berth-iscsi"
"""Below it are the paths of volumes that are LUNs; no host has such a directory."""


class Volumes(Protocol):
    def ensure_storage(self, spec: StorageSpec) -> StorageInfo: ...
    def storage(self, spec: StorageSpec) -> StorageInfo: ...
    def volumes(self, storage: StorageSpec) -> tuple[VolumeInfo, ...]: ...
    def volume(self, storage: StorageSpec, name: str) -> VolumeInfo | None: ...
    def create_volume(
        self,
        storage: StorageSpec,
        name: str,
        *,
        capacity: int = 0,
        backing: VolumeInfo | None = None,
        raw: bool = False,
    ) -> VolumeInfo:
        """A qcow2 volume: blank of `capacity` bytes, or an overlay on `backing` (capacity 0: the same). Or a blank one
        that is `raw`; none of those on a LUN.
        """
        ...

    def copy_volume(
        self,
        storage: StorageSpec,
        name: str,
        *,
        source: VolumeInfo,
        progress: Callable[[float], None] = lambda share: None,
        raw: bool = False,
    ) -> VolumeInfo:
        """An independent qcow2 (or `raw`) copy. As long as `<name>.part` is there it is not whole and does not count.

        A source that is raw by its own word is refused where its first bytes say that it is something else: a guest
        may have written them there.
        """
        ...

    def delete_volume(self, storage: StorageSpec, name: str) -> None: ...

    def wipe_volume(
        self, storage: StorageSpec, name: str, *, progress: Callable[[float], None] = lambda share: None
    ) -> None:
        """Overwrite the volume's contents with zeroes, on its disk; from the first moment on it does not count.
        Done when it is gone. Whoever is killed in it leaves what can be wiped again. Refused while another volume of
        the storage lies on it. `progress` may raise to end it.
        """
        ...


NOTES = ("berth-notes-0", "berth-notes-1")
"""The names of a storage's notes on it; no volume is called so, and none of them is listed as one."""


class Notes(Protocol):
    """Berth's own notes on a storage, in two slots, so that one is whole while the other is being written."""

    def read_notes(self, storage: StorageSpec) -> tuple[bytes, ...]:
        """What is in the slots; one that was never written is left out."""
        ...

    def write_note(self, storage: StorageSpec, slot: int, data: bytes) -> None:
        """Put `data` into the slot 0 or 1; bytes that were there before may follow it."""
        ...

    def release_storage(self, storage: StorageSpec) -> None:
        """Leave the storage: a share is unmounted. What lies on it stays; done when the host does not have it."""
        ...


class Transfers(Protocol):
    """Volumes to and from files of this machine. `progress` hears shares of 0..1 and may raise to end it."""

    def fetch_volume(
        self, storage: StorageSpec, name: str, target: Path, *, progress: Callable[[float], None] = lambda share: None
    ) -> None:
        """Write the volume's bytes, container and all, to the file `target`. May raise Unsupported."""
        ...

    def head_of_volume(self, storage: StorageSpec, name: str, length: int) -> bytes:
        """The first bytes of the volume's container, at most `length`. Raises NotFound."""
        ...

    def store_volume(
        self, storage: StorageSpec, name: str, source: Path, *, progress: Callable[[float], None] = lambda share: None
    ) -> VolumeInfo:
        """Make a volume of the file `source`; as with a copy, `<name>.part` marks one that is not whole.

        The file may become the volume by a second name, so nobody writes it afterwards.
        """
        ...
