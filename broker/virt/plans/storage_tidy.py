"""storage.tidy: look for files that nothing refers to, and remove those that somebody chose. args: `remove`, names.

What is chosen is looked at again right before: whatever came to refer to it meanwhile keeps it.
"""

from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.jobs.runner import JobActor
from broker.virt import hosts, leftovers, work
from broker.virt.driver import VolumeInfo
from broker.virt.models import Host

from .storage_detach import storage_of
from .template_import import host_for


def left_over(ctx: Context) -> list[VolumeInfo]:
    """A host that does not answer ends the job: a machine there may use what nothing here knows of."""
    storage = storage_of(ctx)
    seeing = Host.objects.filter(cluster=storage.cluster_id)
    seeing = seeing.filter(pk=storage.host_id) if storage.host_id else seeing
    lines = [hosts.guarded(ctx, host) for host in seeing]
    volumes = work.with_storage(ctx, host_for(storage), storage, lambda line, spec: line.volumes(spec))
    return leftovers.look(storage, volumes, lines, job=ctx.job.pk)


def tidy(ctx: Context) -> None:
    storage = storage_of(ctx)
    found, host = left_over(ctx), host_for(storage)
    removed = [one.name for one in found if one.name in ctx.args["remove"]]
    for name in removed:
        work.delete_volume(ctx, host, storage, name, wipe=storage.wipe_after_delete)
    with ctx.write():
        ctx.save(
            removed=sorted({*ctx.args.get("removed", []), *removed}), looked=True,
            found=[{"name": one.name, "size": one.allocation} for one in found if one.name not in removed],
        )  # fmt: skip
        if ctx.args["removed"]:
            record(
                "storage.tidied", actor=JobActor(ctx.job), subject=storage, severity="warning", name=storage.name,
                message=N_("%(count)s files that nothing referred to were removed from %(name)s: %(files)s"),
                count=len(ctx.args["removed"]), files=", ".join(ctx.args["removed"][:5]),
            )  # fmt: skip
        publish("storage", storage.pk, "tidied")


register(
    Plan(
        "storage.tidy",
        N_("Look for left-over files on"),
        "storage",
        (
            Step(
                "tidy", tidy, N_("Look"), probe=lambda ctx: bool(ctx.args.get("looked")),
                no_undo="A removed file does not come back; nothing referred to it.",
            ),
        ),
    )
)  # fmt: skip
