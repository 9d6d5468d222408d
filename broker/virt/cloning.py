"""The disks of a machine that is made as a copy of another: the copying half of vm.create.

args of the job: `source`, the original; `copies`, new disk → its original; `seal`. A disk that is to be sealed is
copied beside its own name, so that what is at its name is whole and sealed.
"""

import shutil
from pathlib import Path

from django.conf import settings

from broker.core.errors import Conflict, Unavailable
from broker.core.text import gettext_noop as N_
from broker.jobs.context import Context

from . import specs, work
from .driver import PowerState, Unsupported, VolumeInfo
from .models import Disk, VirtualMachine
from .sealing.image import seal_image

STILL = (PowerState.OFF, PowerState.CRASHED, PowerState.MISSING)


def copy_disks(ctx: Context, vm: VirtualMachine) -> None:
    """All of them; those that are there already are not copied again."""
    source = VirtualMachine.objects.select_related("host").get(pk=ctx.args["source"])
    if work.observe(ctx, source).power not in STILL:
        raise Conflict(
            N_("%(name)s is running."), rule="power.off", fix=N_("Shut it down, and clone it again."), name=source.name
        )
    originals = Disk.objects.select_related("storage").in_bulk(list(ctx.args["copies"].values()))
    by_id = {str(pk): disk for pk, disk in originals.items()}
    disks = list(vm.disks.all())
    for number, disk in enumerate(disks):
        _copy(
            ctx, vm, disk, by_id[ctx.args["copies"][str(disk.pk)]], seal=bool(ctx.args["seal"]) and number == 0,
            begin=number / len(disks), width=1 / len(disks),
        )  # fmt: skip


def _copy(
    ctx: Context, vm: VirtualMachine, disk: Disk, original: Disk, *, seal: bool, begin: float, width: float
) -> None:
    host = work.host_of(vm)
    if seal and ctx.args.get("sealed") and work.has_volume(ctx, host, disk.storage, disk.volume):
        return
    path = original.path or specs.volume_path(original.storage, original.volume)
    taken = VolumeInfo(
        name=original.volume, path=path, format="qcow2", capacity=original.size_bytes,
        allocation=original.allocated_bytes or original.size_bytes,
    )  # fmt: skip
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
        work.delete_volume(ctx, host, disk.storage, disk.volume)
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
    work.delete_volume(ctx, host, disk.storage, unsealed(disk))
