"""vm.delete-disk: the guest lets it go, then the definition forgets it, then the image goes.

args: `disk`, `target`, `storage`, `volume`, and whether to `wipe` it: the row is gone before the image is.
`floating`: it is kept, as a disk of no machine with this `name` and `owner`.
"""

from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.jobs.context import Context
from broker.jobs.plans import NotYet, Plan, Step, register
from broker.virt import floating, specs, work
from broker.virt.models import Disk, StorageDomain

from .vm_create_disk import ASK_AGAIN, RUNS

ASK_TIMES = 60


def let_go(ctx: Context) -> None:
    """Ask and look again; a guest that keeps the disk is told of, and the disk stays whole."""
    vm = work.machine(ctx)
    if work.line(ctx, vm).detach_disk(str(vm.pk), ctx.args["target"]):
        return
    if (times := ctx.args.get("asked_times", 0)) >= ASK_TIMES:
        raise Conflict(
            N_("The guest of %(name)s does not let the disk %(target)s go."), rule="disk.let-go",
            fix=N_("Unmount it in the guest, or shut the machine down first."),
            name=vm.name, target=ctx.args["target"],
        )  # fmt: skip
    ctx.save(asked_times=times + 1)
    raise NotYet(ASK_AGAIN, N_("Waiting for the guest to let the disk go"))


def plug_again(ctx: Context) -> None:
    vm = work.machine(ctx)
    disk = Disk.objects.select_related("storage").filter(pk=ctx.args["disk"]).first()
    if disk is None:
        return
    if work.observe(ctx, vm).power in RUNS:
        work.line(ctx, vm).attach_disk(str(vm.pk), specs.disk_spec(disk))
    else:
        work.define(ctx, vm)


def forget(ctx: Context) -> None:
    was, disk = ctx.args.get("floating"), Disk.objects.filter(pk=ctx.args["disk"]).first()
    with ctx.write():
        if was and disk is not None:
            floating.let_float(disk, name=was["name"], owner_id=was["owner"])
            publish("disk", disk.pk, "created")
        elif disk is not None:
            disk.delete()
        publish("vm", ctx.job.subject_id, "changed")
    work.define(ctx, work.machine(ctx))


def remove(ctx: Context) -> None:
    vm = work.machine(ctx)
    if ctx.args.get("floating"):
        text = N_("The disk %(target)s of %(name)s was taken out")
        work.tell(ctx, vm, "vm.disk-detached", text, target=ctx.args["target"])
        return
    storage = StorageDomain.objects.get(pk=ctx.args["storage"])
    work.delete_volume(ctx, work.host_of(vm), storage, ctx.args["volume"], wipe=ctx.args["wipe"])
    work.tell(ctx, vm, "vm.disk-deleted", N_("The disk %(target)s of %(name)s was deleted"), target=ctx.args["target"])


def is_told(ctx: Context) -> bool:
    return not {"vm.disk-deleted", "vm.disk-detached"}.isdisjoint(ctx.args.get("told", []))


register(
    Plan(
        "vm.delete-disk",
        N_("Delete a disk of"),
        "vm",
        (
            Step("let-go", let_go, N_("Take it out of the machine"), undo=plug_again),
            Step(
                "forget", forget, N_("Take it out of the definition"), last_exit=True,
                no_undo="The row goes first; what the definition still says is put right by the next start.",
            ),
            Step(
                "remove", remove, N_("Remove the image"), probe=is_told,
                no_undo="A removed image does not come back; nothing refers to it any more.",
            ),
        ),
    )
)  # fmt: skip
