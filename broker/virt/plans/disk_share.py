"""disk.share: a disk of no machine gets an image of the other format, and the old one goes.

args: `shared`, what it will be; `old` and `new`, the volumes; `generation`, that of the new one; `storage`.
"""

from typing import Any

from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.jobs.runner import JobActor
from broker.virt import specs, wiping, work
from broker.virt.models import FloatingDisk, StorageDomain

from .template_import import host_for


def _disk(ctx: Context) -> Any:
    return FloatingDisk.objects.select_related("storage").get(pk=ctx.job.subject_id)


def write(ctx: Context) -> None:
    """Copied, then put over, then the old image goes: it is whole at each moment, under one name or the other."""
    disk, args = _disk(ctx), ctx.args
    host = host_for(disk.storage)
    if disk.volume == args["old"]:
        made = work.with_storage(
            ctx, host, disk.storage,
            lambda line, storage: line.copy_volume(
                storage, args["new"], source=specs.floating_volume(disk), progress=ctx.progress, raw=args["shared"]
            ),
        )  # fmt: skip
        with ctx.write():
            FloatingDisk.objects.filter(pk=disk.pk, volume=args["old"]).update(
                volume=args["new"], generation=args["generation"], shared=args["shared"],
                allocated_bytes=made.allocation,
            )  # fmt: skip
            publish("disk", disk.pk, "changed")
    work.delete_volume(ctx, host, disk.storage, args["old"], wipe=wiping.of_row(disk))
    with ctx.write():
        ctx.save(told=["disk.share"])
        record(
            "disk.shared" if args["shared"] else "disk.unshared", actor=JobActor(ctx.job), subject=disk, name=disk.name,
            message=N_("The disk %(name)s can be had by several machines") if args["shared"]
            else N_("The disk %(name)s is for one machine again"),
        )  # fmt: skip


def go_back(ctx: Context) -> None:
    """What is not put over yet goes; a disk that is over stays so, and only one image of it is left."""
    disk, storage = _disk(ctx), StorageDomain.objects.get(pk=ctx.args["storage"])
    over = disk.volume == ctx.args["new"]
    wipe = wiping.effective(disk.wipe_after_delete, storage)
    work.delete_volume(ctx, host_for(storage), storage, ctx.args["old" if over else "new"], wipe=wipe)


register(
    Plan(
        "disk.share",
        N_("Write the image anew of"),
        "disk",
        (Step("write", write, N_("Copy the image"), probe=work.told("disk.share"), undo=go_back),),
    )
)  # fmt: skip
