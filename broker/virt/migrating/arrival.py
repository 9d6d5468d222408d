"""A machine that was moved: written down where it is, made whole there, and nothing of it left where it was."""

from typing import Any

from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.jobs.context import Context
from broker.virt import hosts, wiping, work
from broker.virt.driver import HostUnreachable, PowerState, SavedPoints
from broker.virt.models import Disk, StorageDomain, VirtualMachine
from broker.virt.observe import apply

from . import order
from .move import Move, look, points_of

UP = (PowerState.RUNNING, PowerState.PAUSED)


def arrive(ctx: Context, move: Move) -> None:
    """From here on the machine is on the target, whatever is still to be tidied up."""
    with ctx.write():
        VirtualMachine.objects.filter(pk=move.vm.pk).update(host=move.target, moving_to=None)
        for disk, storage in move.copies:
            Disk.objects.filter(pk=disk.pk).update(storage=storage, path=order.copy_path(disk, storage))
        if move.copies:
            VirtualMachine.objects.filter(pk=move.vm.pk).update(linked=False)
        ctx.save(moved=True)
        publish("vm", move.vm.pk, "moved")
        for host in (move.source, move.target):
            publish("host", host.pk, "changed")
    seen = look(ctx, move.target, move)
    if seen is not None:
        apply(move.target, [seen])


def finish_target(ctx: Context, move: Move) -> dict[str, Any]:
    there = hosts.guarded(ctx, move.target)
    if there.observe_one(move.uuid).power in UP:
        there.finish_migration(move.uuid)
    if points_of(ctx) != SavedPoints():
        there.restore_points(move.uuid, points_of(ctx))
    result = there.migrated(move.uuid)
    apply(move.target, [there.observe_one(move.uuid)])
    if result is None:
        return {"seconds": "?", "downtime": "?"}
    return {"seconds": f"{result.elapsed_ms / 1000:.1f}", "downtime": result.downtime_ms}


def tidy_source(ctx: Context, move: Move) -> None:
    """A source that does not answer is tidied up by the monitor when it is back."""
    try:
        here = hosts.guarded(ctx, move.source)
        if here.observe_one(move.uuid).power is not PowerState.MISSING:
            work.cut_power(here, move.uuid)
            here.undefine(move.uuid)
        for disk, _ in move.copies:
            left = StorageDomain.objects.get(pk=ctx.args["left"][str(disk.pk)])
            wipe = wiping.effective(disk.wipe_after_delete, left)
            work.delete_volume(ctx, move.source, left, disk.volume, wipe=wipe)
    except HostUnreachable:
        work.tell(
            ctx, move.vm, "vm.left-behind", N_("What %(name)s left on %(host)s could not be tidied up yet"),
            severity="warning", host=move.source.name,
        )  # fmt: skip
