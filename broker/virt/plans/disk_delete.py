"""disk.delete: the image of a disk that belongs to no machine, then its row. args: `storage`, `volume`, `name`."""

from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.jobs.runner import JobActor
from broker.virt import wiping, work
from broker.virt.models import FloatingDisk, StorageDomain

from .template_import import host_for


def remove(ctx: Context) -> None:
    storage = StorageDomain.objects.get(pk=ctx.args["storage"])
    wipe = wiping.of_disk(ctx.job.subject_id, storage)
    work.delete_volume(ctx, host_for(storage), storage, ctx.args["volume"], wipe=wipe)
    with ctx.write():
        if disk := FloatingDisk.objects.filter(pk=ctx.job.subject_id).first():
            record(
                "disk.deleted", actor=JobActor(ctx.job), subject=disk, message=N_("The disk %(name)s was deleted"),
                name=disk.name,
            )  # fmt: skip
            disk.delete()
            publish("disk", ctx.job.subject_id, "deleted")


def is_gone(ctx: Context) -> bool:
    return not FloatingDisk.objects.filter(pk=ctx.job.subject_id).exists()


register(
    Plan(
        "disk.delete",
        N_("Delete the disk"),
        "disk",
        (
            Step(
                "remove", remove, N_("Remove the image"), probe=is_gone,
                no_undo="A removed image does not come back; while its row is there it can be deleted again.",
            ),
        ),
        cancellable=False,
    )
)  # fmt: skip
