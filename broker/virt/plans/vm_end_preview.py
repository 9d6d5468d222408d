"""vm.end-preview: a machine that looks at a snapshot keeps that state, or goes back to the one that was set aside.

args: `commit`, which of both; `swap`, one entry a disk with the image that is `kept` aside and the one it has `tried`;
`snapshot`, `was_current`. One step: whatever of it was done already is found done.
"""

from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.virt import specs, work
from broker.virt.models import Disk, Preview, Snapshot

from .vm_revert import remove_images
from .vm_take_snapshot import layers_of

KEPT, UNDONE = "vm.preview.committed", "vm.preview.undone"


def end(ctx: Context) -> None:
    vm = work.machine(ctx)
    name = Snapshot.objects.filter(pk=ctx.args["snapshot"]).values_list("name", flat=True).first()
    if ctx.args["commit"]:
        with ctx.write():
            Preview.objects.filter(pk=ctx.args["preview"]).delete()
            publish("vm", vm.pk, "changed")
        remove_images(ctx, "kept")
        work.tell(ctx, vm, KEPT, N_("%(name)s keeps the state of the snapshot %(snapshot)s"), snapshot=name)
        return
    work.cut_power(work.line(ctx, vm), str(vm.pk))
    work.observe(ctx, vm)
    _point_back(ctx)
    work.define(ctx, work.machine(ctx))
    remove_images(ctx, "tried")
    work.tell(ctx, vm, UNDONE, N_("%(name)s is back from the snapshot %(snapshot)s"), snapshot=name)


def _point_back(ctx: Context) -> None:
    """Its disks' generations stay, so that no later image gets a name that one of these had."""
    with ctx.write():
        if not Preview.objects.filter(pk=ctx.args["preview"]).exists():
            return
        for entry, storage in layers_of(ctx, "swap"):
            Disk.objects.filter(pk=entry["disk"]).update(
                volume=entry["kept"], path=specs.volume_path(storage, entry["kept"]), below=entry["kept_below"],
                size_bytes=entry["kept_size"],
            )  # fmt: skip
        rows = Snapshot.objects.filter(vm=ctx.job.subject_id)
        rows.filter(current=True).update(current=False)
        if ctx.args["was_current"]:
            rows.filter(pk=ctx.args["was_current"]).update(current=True)
        Preview.objects.filter(pk=ctx.args["preview"]).delete()
        publish("vm", ctx.job.subject_id, "changed")


def is_over(ctx: Context) -> bool:
    return not {KEPT, UNDONE}.isdisjoint(ctx.args.get("told", []))


register(
    Plan(
        "vm.end-preview",
        N_("End the look at a snapshot of"),
        "vm",
        (
            Step(
                "end", end, N_("Keep one state, drop the other"), probe=is_over,
                no_undo="The rows name one whole state at any time; what could not be removed is told of as left over.",
            ),
        ),
        cancellable=False,
    )
)  # fmt: skip
