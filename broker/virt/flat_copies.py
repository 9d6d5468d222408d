"""A disk's bytes on their way out of a storage: a flat copy is made beside it, fetched to the server, and removed.

What is on a LUN is flat as it is, and is fetched itself. `Span`: the part of a step's progress that this takes.
"""

from dataclasses import dataclass
from pathlib import Path

from broker.core.errors import Conflict, NoCapacity
from broker.core.text import gettext_noop as N_
from broker.jobs.context import Context

from . import uploads, wiping, work
from .cloning import STILL, Original
from .driver import NotFound, VolumeInfo
from .models import StorageDomain, VirtualMachine


@dataclass(frozen=True, slots=True)
class Span:
    begin: float = 0.0
    width: float = 1.0

    def at(self, share: float) -> float:
        return self.begin + share * self.width


def require_still(ctx: Context, vm: VirtualMachine) -> None:
    """Raises Conflict when the guest runs by what its host says now."""
    if work.observe(ctx, vm).power not in STILL:
        raise Conflict(
            N_("%(name)s is running, and its guest writes to the disk."), rule="export.still",
            fix=N_("Take a snapshot and choose that, or shut the machine down."), name=vm.name,
        )  # fmt: skip


def fetch(
    ctx: Context, vm: VirtualMachine, original: Original, name: str, target: Path, half: Path, span: Span
) -> None:
    """Have the disk as one qcow2 file at `target`, put together at `half`; the copy is called `name` and goes again.

    Raises NoCapacity where there is no room.
    """
    if not target.exists():
        flat = original.image if _on_lun(original) else _copy(ctx, vm, original, name, span)
        uploads.require_room(min(flat.allocation, flat.capacity))
        _fetch(ctx, vm, original.storage, flat.name, target, half, span)
    drop(ctx, vm, original, name)


def drop(ctx: Context, vm: VirtualMachine, original: Original, name: str) -> None:
    """Remove the copy, if there is one."""
    if _on_lun(original):
        return
    try:
        wipe = wiping.of_disk(original.disk.pk, original.storage)
        work.delete_volume(ctx, work.host_of(vm), original.storage, name, wipe=wipe)
    except NotFound:
        if not ctx.undoing:
            raise  # else the storage was never made ready, so there is no copy on it


def _on_lun(original: Original) -> bool:
    return original.storage.kind == StorageDomain.Kind.ISCSI


def _copy(ctx: Context, vm: VirtualMachine, original: Original, name: str, span: Span) -> VolumeInfo:
    return work.with_storage(
        ctx, work.host_of(vm), original.storage,
        lambda line, storage: line.copy_volume(
            storage, name, source=original.image,
            progress=lambda share: ctx.progress(span.at(share * 0.5), N_("Copying the disk")),
        ),
    )  # fmt: skip


def _fetch(
    ctx: Context, vm: VirtualMachine, place: StorageDomain, name: str, target: Path, half: Path, span: Span
) -> None:
    def tick(share: float) -> None:
        uploads.require_room(0)
        ctx.progress(span.at(0.5 + share * 0.5), N_("Fetching the copy"))

    try:
        work.with_storage(
            ctx, work.host_of(vm), place, lambda line, storage: line.fetch_volume(storage, name, half, progress=tick)
        )
        half.rename(target)
    except OSError as error:
        raise no_room(error) from error


def no_room(error: OSError) -> NoCapacity:
    return NoCapacity(
        N_("There is no room for the file on the server (%(reason)s)."), rule="export.space",
        fix=N_("Free space in Berth's data directory."), reason=error.strerror or "?",
    )  # fmt: skip
