"""Disks of running machines copied elsewhere while the guest goes on writing, and put over to the copy."""

from typing import Protocol


class Copies(Protocol):
    """A copy holds all of the disk, whatever images lie below it; it does not outlive the run of its machine."""

    def mirror_disk(self, uuid: str, target: str, path: str, *, bandwidth: int = 0, raw: bool = False) -> float:
        """Begin to copy the disk into the blank volume at `path` (qcow2, or `raw`), or look how far that is.

        1.0: both are the same, and whatever the guest writes goes to both. `bandwidth`: at most so many bytes a
        second; asked for again with another one, it is changed. Raises Refused when the machine does not run.
        """
        ...

    def pivot_disk(self, uuid: str, target: str, path: str) -> bool:
        """Write to `path` alone from now on; whether it does. False, too, when no whole copy is being kept there."""
        ...

    def stop_mirror(self, uuid: str, target: str) -> None:
        """Break the copy off; the disk stays where it is. Done when there is none."""
        ...
