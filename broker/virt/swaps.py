"""What goes back to a snapshot, or looks at it: of each disk the image it has, and the one it gets."""

from typing import Any

from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_

from .models import Snapshot


def swap_args(snapshot: Snapshot, *, start: bool) -> dict[str, Any]:
    """What vm.revert is to do; raises Conflict when the snapshot holds nothing."""
    vm, swap = snapshot.vm, _swap(snapshot)
    if vm.host_id is None or not swap:
        raise Conflict(
            N_("There is nothing to go back to in %(name)s."), rule="snapshot.whole",
            fix=N_("Choose another snapshot."), name=snapshot.name,
        )  # fmt: skip
    was = vm.snapshots.filter(current=True).first()
    return {
        "snapshot": str(snapshot.pk), "swap": swap, "start": bool(start), "was_current": str(was.pk) if was else "",
    }  # fmt: skip


def _swap(snapshot: Snapshot) -> list[dict[str, Any]]:
    """For each disk: the image it has, the one it gets, and the frozen one below that."""
    return [
        {
            "disk": str(frozen.disk_id), "target": frozen.disk.target, "storage": str(frozen.storage_id),
            "old": frozen.disk.volume, "old_below": frozen.disk.below, "was_size": frozen.disk.size_bytes,
            "new": frozen.disk.volume_name(frozen.disk.generation + 1), "below": frozen.volume,
            "size": frozen.size_bytes, "generation": frozen.disk.generation,
        }
        for frozen in snapshot.disks.select_related("disk")
    ]  # fmt: skip
