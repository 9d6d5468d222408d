"""storage.adopt-file: a left-over file becomes a disk of no machine. args: `file`, `name`, `owner`, `disk`, its id."""

from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.jobs.runner import JobActor
from broker.virt import floating, quotas, work
from broker.virt.models import FloatingDisk

from .storage_detach import storage_of
from .storage_tidy import left_over
from .template_import import host_for


def adopt(ctx: Context) -> None:
    """Looked at as for removing: what a machine somewhere uses is nobody else's to have."""
    storage = storage_of(ctx)
    found = next((one for one in left_over(ctx) if one.name == ctx.args["file"]), None)
    if found is None:
        raise Conflict(
            N_("There is no left-over file %(file)s on %(name)s."), rule="storage.left-over",
            fix=N_("Look for left-over files again: something may refer to it by now."),
            file=ctx.args["file"], name=storage.name,
        )  # fmt: skip
    size = work.with_storage(
        ctx, host_for(storage), storage, lambda line, spec: floating.inspect(line, spec, found)
    )  # fmt: skip
    with ctx.write():
        quotas.claim_disk_of(
            JobActor(ctx.job), ctx.args["owner"] or None, storage.cluster_id, size=size, subject=storage, new=True
        )
        disk = FloatingDisk.objects.create(
            pk=ctx.args["disk"], name=ctx.args["name"], storage=storage, volume=found.name, size_bytes=size,
            allocated_bytes=found.allocation, owner_id=ctx.args["owner"] or None,
        )  # fmt: skip
        record(
            "storage.file-adopted", actor=JobActor(ctx.job), subject=storage, name=storage.name, disk=disk.name,
            message=N_("A left-over file on %(name)s became the disk %(disk)s"),
        )  # fmt: skip
        publish("disk", disk.pk, "created")
        publish("storage", storage.pk, "tidied")


def is_adopted(ctx: Context) -> bool:
    return FloatingDisk.objects.filter(pk=ctx.args["disk"]).exists()


register(
    Plan(
        "storage.adopt-file",
        N_("Make a disk of a left-over file on"),
        "storage",
        (
            Step(
                "adopt", adopt, N_("Look at it"), probe=is_adopted,
                no_undo="A transaction: the row is there, or nothing happened; the file is only read.",
            ),
        ),
    )
)  # fmt: skip
