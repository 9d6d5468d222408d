"""vm.create-disk: the image, then into the machine that runs, then into its definition.

args: `disk`; `floating`, of one that was there before: the `name` and `owner` it gets back when it does not get in.
"""

from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.jobs.context import Context
from broker.jobs.plans import NotYet, Plan, Step, register
from broker.virt import floating, specs, wiping, work
from broker.virt.driver import PowerState
from broker.virt.models import Disk

ASK_AGAIN = 0.5  # seconds between two looks at whether a guest has let a disk go
RUNS = (PowerState.RUNNING, PowerState.PAUSED)


def _disk(ctx: Context) -> Disk | None:
    return Disk.objects.select_related("storage").filter(pk=ctx.args["disk"]).first()


def make(ctx: Context) -> None:
    vm, disk = work.machine(ctx), _disk(ctx)
    assert disk is not None
    if ctx.args.get("floating"):
        if not work.has_volume(ctx, work.host_of(vm), disk.storage, disk.volume):
            raise Conflict(
                N_("The image %(volume)s is not there."), rule="disk.present",
                fix=N_("Look on the host who moved it; restore a backup if it is gone."), volume=disk.volume,
            )  # fmt: skip
        return
    work.with_storage(
        ctx, work.host_of(vm), disk.storage,
        lambda host, storage: host.create_volume(storage, disk.volume, capacity=disk.size_bytes),
    )  # fmt: skip


def remove(ctx: Context) -> None:
    vm, disk = work.machine(ctx), _disk(ctx)
    if disk is not None and (was := ctx.args.get("floating")):
        with ctx.write():
            floating.let_float(disk, name=was["name"], owner_id=was["owner"])
            publish("vm", vm.pk, "changed")
    elif disk is not None:
        if vm.host is not None:
            work.delete_volume(ctx, vm.host, disk.storage, disk.volume, wipe=wiping.of_row(disk))
        with ctx.write():
            Disk.objects.filter(pk=disk.pk).delete()
            publish("vm", vm.pk, "changed")


def plug(ctx: Context) -> None:
    vm, disk = work.machine(ctx), _disk(ctx)
    assert disk is not None
    if work.observe(ctx, vm).power in RUNS:
        work.line(ctx, vm).attach_disk(str(vm.pk), specs.disk_spec(disk))
    work.define(ctx, vm)
    work.tell(ctx, vm, "vm.disk-created", N_("%(name)s got a disk %(target)s"), target=disk.target)


def unplug(ctx: Context) -> None:
    """Out of the machine and its definition again; a guest that does not let it go is asked until it does."""
    vm, disk = work.machine(ctx), _disk(ctx)
    if disk is None:
        return
    if not work.line(ctx, vm).detach_disk(str(vm.pk), disk.target):
        raise NotYet(ASK_AGAIN, N_("Waiting for the guest to let the disk go"))
    work.define(ctx, vm, without=disk)


register(
    Plan(
        "vm.create-disk",
        N_("Make a disk for"),
        "vm",
        (
            Step("volume", make, N_("Make the image"), undo=remove),
            Step(
                "plug", plug, N_("Plug it in"), probe=work.told("vm.disk-created"), undo=unplug, last_exit=True
            ),
        ),
    )
)  # fmt: skip
