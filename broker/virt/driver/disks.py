"""Disks of machines: plugged, grown, frozen under a snapshot, merged back and put in place of each other."""

from collections.abc import Mapping
from typing import Protocol

from .machines import DiskLimits, DiskSpec
from .storage import StorageSpec


class Disks(Protocol):
    def attach_disk(self, uuid: str, disk: DiskSpec) -> None:
        """Plug it into the running machine; done when it is in. Raises Refused when the machine does not run."""
        ...

    def detach_disk(self, uuid: str, target: str) -> bool:
        """Ask the guest to let it go; whether it has. True when it is not in, or the machine does not run."""
        ...

    def grow_disk(self, uuid: str, target: str, storage: StorageSpec, name: str, size: int) -> None:
        """Make the top image of a disk `size` bytes large; a running guest sees it at once. Never shrinks."""
        ...

    def limit_disk(self, uuid: str, target: str, limits: DiskLimits) -> None:
        """Hold the running machine to these limits from now on; done when it does not run or has no such disk."""
        ...

    def chain(self, uuid: str, target: str) -> tuple[str, ...]:
        """The paths of a disk's images from the top down: QEMU's own word of a running machine."""
        ...


class Layers(Protocol):
    """External snapshots. Berth keeps the books: nothing of them is noted on the host."""

    def freeze_disks(self, uuid: str, overlays: Mapping[str, str], *, memory: str = "", quiesce: bool = False) -> None:
        """Of a running machine, all at one moment: write to the new file `overlays[target]` from now on.

        `memory`: the file to which its memory goes, too. `quiesce`: have the guest agent settle the file systems.
        Done when all of them are in place; what an attempt that broke off left behind is overwritten.
        """
        ...

    def merge_layer(self, uuid: str, target: str, *, top: str, base: str) -> float:
        """Move the merge of image `top` down into `base` on by a step and say how far it is; 1.0: `top` is not in use.

        For a machine that runs or is held; begun anew when it stopped. `base` is what lies right below `top`.
        """
        ...

    def stop_merge(self, uuid: str, target: str) -> None:
        """Break a merge off; the disk stays whole. Done when there is none."""
        ...

    def hold(self, uuid: str) -> None:
        """Have its disks open without letting the guest run, so that layers can be merged. Done when it is up."""
        ...

    def wake_from(self, uuid: str, memory: str, disks: Mapping[str, str]) -> None:
        """Run it from the file `memory`, with the images of `disks` by target; done when it runs."""
        ...
