"""A snapshot that a machine looks at: the rows of it, and what both ways out of it share.

What the machine had is set aside under its own name, and lies on the frozen images as before; what it writes meanwhile
goes to fresh images. So both ways out remove files and point rows, and copy nothing.
"""

from typing import Any

from broker.access.actor import Actor
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job

from .asking import require_usable
from .cloning import require_not_copied
from .models import Disk, Preview, SetAside, VirtualMachine


def end_job(*, actor: Actor, vm: VirtualMachine, commit: bool, message: str) -> Job:
    """Call inside a transaction, when the right was asked for. `message`: a template over `name` and `machine`."""
    require_usable(vm)
    preview = Preview.objects.select_related("snapshot").filter(vm=vm).first()
    if preview is None:
        raise Conflict(
            N_("%(name)s looks at no snapshot."), rule="snapshot.preview", fix=N_("Have it look at one first."),
            name=vm.name,
        )  # fmt: skip
    require_not_copied(vm)
    args = {
        "commit": commit, "preview": preview.pk, "snapshot": str(preview.snapshot_id),
        "was_current": str(preview.was_current_id or ""),
        "swap": [_entry(kept) for kept in preview.disks.select_related("disk")],
    }  # fmt: skip
    event = "vm.preview.commit.asked" if commit else "vm.preview.undo.asked"
    record(event, actor=actor, subject=vm, message=message, machine=vm.name, name=preview.snapshot.name)
    publish("vm", vm.pk, "asked")
    return enqueue("vm.end-preview", actor=actor, subject=vm, args=args)


def _entry(kept: SetAside) -> dict[str, Any]:
    return {
        "disk": str(kept.disk_id), "storage": str(kept.storage_id), "kept": kept.volume, "kept_below": kept.below,
        "kept_size": kept.size_bytes, "tried": kept.disk.volume,
    }  # fmt: skip


def write(vm: VirtualMachine, *, snapshot: str, was_current: str) -> None:
    """Put the present images of the disks that the snapshot holds aside; done when they are. In a transaction."""
    preview, made = Preview.objects.get_or_create(
        vm=vm, defaults={"snapshot_id": snapshot, "was_current_id": was_current or None}
    )
    if made:
        held = Disk.objects.filter(frozen__snapshot_id=snapshot)
        SetAside.objects.bulk_create([
            SetAside(
                preview=preview, disk=disk, storage_id=disk.storage_id, volume=disk.volume, below=disk.below,
                size_bytes=disk.size_bytes,
            )
            for disk in held
        ])  # fmt: skip
