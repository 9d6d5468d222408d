"""The disks of a machine that is made as a copy of another: the copying half of vm.create.

args of the job: `source`, the original; `snapshot`, one of its snapshots or ""; `copies`, new disk → its original;
`seal`. A disk that is to be sealed is copied beside its own name, so that what is at its name is whole and sealed.

What a snapshot froze is written by nobody, so it is copied while the machine runs. QEMU's lock on the files keeps it
so, and `require_not_copied` refuses early what would merge or remove them.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from broker.core.errors import Busy, Conflict, Invalid, Unavailable
from broker.core.text import gettext_noop as N_
from broker.jobs.context import Context
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE

from . import specs, wiping, work
from .driver import PowerState, Unsupported, VolumeInfo
from .models import Disk, Snapshot, SnapshotDisk, StorageDomain, VirtualMachine
from .models.disk import image_format
from .sealing.image import seal_image

STILL = (PowerState.OFF, PowerState.CRASHED, PowerState.MISSING)


@dataclass(frozen=True, slots=True)
class Original:
    """A disk's image to be copied: the one it has now, or one that a snapshot froze."""

    disk: Disk
    storage: StorageDomain
    volume: str
    path: str
    size_bytes: int
    allocated_bytes: int

    @property
    def image(self) -> VolumeInfo:
        """As something to copy."""
        return VolumeInfo(
            name=self.volume, path=self.path, format=image_format(self.disk.pk, self.volume),
            capacity=self.size_bytes, allocation=self.allocated_bytes,
        )  # fmt: skip


def originals(vm: VirtualMachine, snapshot: Snapshot | None) -> list[Original]:
    """What a copy of the machine consists of; raises Invalid for a snapshot of another machine."""
    if snapshot is None:
        return [_present(disk) for disk in vm.disks.select_related("storage")]
    if snapshot.vm_id != vm.pk:
        raise Invalid(
            N_("%(machine)s has no such snapshot."), field="snapshot", fix=N_("Choose one of its snapshots."),
            machine=vm.name,
        )  # fmt: skip
    return [frozen_original(frozen) for frozen in snapshot.disks.select_related("disk", "storage")]


def _present(disk: Disk) -> Original:
    path = disk.path or specs.volume_path(disk.storage, disk.volume)
    return Original(disk, disk.storage, disk.volume, path, disk.size_bytes, disk.allocated_bytes or disk.size_bytes)


def frozen_original(frozen: SnapshotDisk) -> Original:
    path = specs.volume_path(frozen.storage, frozen.volume)
    return Original(frozen.disk, frozen.storage, frozen.volume, path, frozen.size_bytes, frozen.size_bytes)


def require_not_copied(vm: VirtualMachine) -> None:
    """Raise Busy while another machine is being made as a copy of it. Call inside a transaction: it locks the row."""
    VirtualMachine.objects.select_for_update().get(pk=vm.pk)
    if Job.objects.filter(state__in=sorted(ACTIVE), plan="vm.create", args__source=str(vm.pk)).exists():
        raise Busy(
            N_("%(name)s is being copied."), fix=N_("Wait until the copy is made, or cancel it."), name=vm.name
        )  # fmt: skip


def copy_disks(ctx: Context, vm: VirtualMachine) -> None:
    """All of them; those that are there already are not copied again."""
    source = VirtualMachine.objects.select_related("host").get(pk=ctx.args["source"])
    snapshot = Snapshot.objects.filter(pk=ctx.args["snapshot"]).first() if ctx.args.get("snapshot") else None
    if ctx.args.get("snapshot") and snapshot is None:
        raise Conflict(
            N_("The snapshot of %(name)s is gone."), rule="snapshot.whole", fix=N_("Choose another snapshot."),
            name=source.name,
        )  # fmt: skip
    if snapshot is None and work.observe(ctx, source).power not in STILL:
        raise Conflict(
            N_("%(name)s is running."), rule="power.off", fix=N_("Shut it down, and clone it again."), name=source.name
        )
    by_id = {str(one.disk.pk): one for one in originals(source, snapshot)}
    disks = list(vm.disks.all())
    for number, disk in enumerate(disks):
        _copy(
            ctx, vm, disk, by_id[ctx.args["copies"][str(disk.pk)]], seal=bool(ctx.args["seal"]) and number == 0,
            begin=number / len(disks), width=1 / len(disks),
        )  # fmt: skip


def _copy(
    ctx: Context, vm: VirtualMachine, disk: Disk, original: Original, *, seal: bool, begin: float, width: float
) -> None:
    host = work.host_of(vm)
    if seal and ctx.args.get("sealed") and work.has_volume(ctx, host, disk.storage, disk.volume):
        return
    taken = original.image
    name = unsealed(disk) if seal else disk.volume
    work.with_storage(
        ctx, host, disk.storage,
        lambda line, storage: line.copy_volume(
            storage, name, source=taken,
            progress=lambda share: ctx.progress(begin + share * width * (0.5 if seal else 1), N_("Copying the disk")),
        ),
    )  # fmt: skip
    if seal:
        _seal(ctx, vm, disk, taken)


def unsealed(disk: Disk) -> str:
    return f"unsealed-{disk.volume}"


def _seal(ctx: Context, vm: VirtualMachine, disk: Disk, taken: VolumeInfo) -> None:
    """Fetch the copy, seal it here, store it under the disk's name, and remove the copy."""
    host, folder = work.host_of(vm), Path(settings.DATA_DIR) / "sealing" / str(ctx.job.pk)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    source, target = folder / "copy.qcow2", folder / "sealed.qcow2"
    try:
        work.with_storage(
            ctx, host, disk.storage,
            lambda line, storage: line.fetch_volume(storage, unsealed(disk), source, progress=lambda share: None),
        )  # fmt: skip
        seal_image(source, target, tick=lambda share: ctx.progress(0.5 + share * 0.3, N_("Sealing the image")))
        work.delete_volume(ctx, host, disk.storage, disk.volume, wipe=wiping.of_row(disk))
        work.with_storage(
            ctx, host, disk.storage,
            lambda line, storage: line.store_volume(storage, disk.volume, target, progress=lambda share: None),
        )  # fmt: skip
    except Unsupported as error:
        raise Conflict(
            N_("The copy cannot be sealed on %(host)s: %(cause)s"), rule="clone.seal",
            fix=N_("Clone it without sealing, and seal it inside."), host=host.name, cause=error.message,
        ) from error  # fmt: skip
    except OSError as error:
        raise Unavailable(
            N_("The image could not be sealed on this server (%(reason)s)."), rule="clone.seal",
            fix=N_("Free some space in the data directory."), reason=error.strerror or error,
        ) from error  # fmt: skip
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    ctx.save(sealed=True)
    work.delete_volume(ctx, host, disk.storage, unsealed(disk), wipe=wiping.of_row(disk))
