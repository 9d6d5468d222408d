"""Delete a snapshot: the machine's disks stay as they are, what only the snapshot holds is merged or removed."""

from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt.asking import require_power, require_usable
from broker.virt.cloning import require_not_copied
from broker.virt.disk_rules import SETTLED, require_kept
from broker.virt.models import Disk, Snapshot, SnapshotDisk


@transaction.atomic
def delete_snapshot(*, actor: Actor, snapshot: Snapshot) -> Job:
    """Enqueue it; a running machine goes on. Raises Missing, Denied, Conflict or Busy."""
    vm = snapshot.vm
    require(actor, "vm.edit", vm)
    require_usable(vm)
    require_power(vm, SETTLED)
    require_kept(vm)
    require_not_copied(vm)
    args = {
        "snapshot": str(snapshot.pk), "name": snapshot.name, "memory": snapshot.memory,
        "memory_storage": str(snapshot.memory_storage_id or ""),
        "merges": [_merge(snapshot, frozen) for frozen in snapshot.disks.select_related("disk")],
    }  # fmt: skip
    record(
        "vm.snapshot.delete.asked", actor=actor, subject=vm,
        message=N_("Deletion of the snapshot %(name)s of %(machine)s was asked for"),
        name=snapshot.name, machine=vm.name,
    )  # fmt: skip
    publish("vm", vm.pk, "asked")
    return enqueue("vm.delete-snapshot", actor=actor, subject=vm, args=args)


def _merge(snapshot: Snapshot, frozen: SnapshotDisk) -> dict[str, Any]:
    """What becomes of one frozen image: the one right above it is merged into it, or it is removed if there is none.

    Only what the machine has open now can be merged, and an image that two lie on must stay as it is.
    """
    disk = frozen.disk
    above = list(disk.frozen.filter(below=frozen.volume).select_related("snapshot"))
    tops = [disk.volume] if disk.below == frozen.volume else []
    if len(above) + len(tops) > 1:
        raise _branched(snapshot)
    top = tops[0] if tops else above[0].volume if above else ""
    if above and (top not in _line_of(disk) or _lying_on(disk, top) > 1):
        raise _branched(snapshot)
    return {
        "disk": str(disk.pk), "target": disk.target, "storage": str(frozen.storage_id), "base": frozen.volume,
        "base_below": frozen.below, "top": top,
    }  # fmt: skip


def _line_of(disk: Disk) -> list[str]:
    """The frozen images below the one that the disk has now."""
    below = {frozen.volume: frozen.below for frozen in disk.frozen.all()}
    line, volume = [], disk.below
    while volume and volume not in line:
        line.append(volume)
        volume = below.get(volume, "")
    return line


def _lying_on(disk: Disk, volume: str) -> int:
    return disk.frozen.filter(below=volume).count() + (disk.below == volume)


def _branched(snapshot: Snapshot) -> Conflict:
    return Conflict(
        N_("Several states of the machine build on %(name)s, or one that it has not now."), rule="snapshot.straight",
        fix=N_("Delete the snapshots taken after it first, or go back to one of them."), name=snapshot.name,
    )  # fmt: skip
