"""vm.delete: off, then the definition, then the disks, then the row."""

from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.jobs.runner import JobActor
from broker.virt import specs, wiping, work
from broker.virt.models import SetAside, VirtualMachine
from broker.virt.states import VM


def gone(ctx: Context) -> bool:
    """Whether the row is gone: then everything before it was done."""
    return not VirtualMachine.objects.filter(pk=ctx.job.subject_id).exists()


def power_off(ctx: Context) -> None:
    vm = work.machine(ctx)
    if vm.host is None:
        return
    work.cut_power(work.line(ctx, vm), str(vm.pk))
    work.observe(ctx, vm)


def keep(ctx: Context) -> None:
    """Deleting stopped before anything was removed: what it was before, it is again."""
    event = "keep" if ctx.args.get("was") == "ready" else "break"
    with ctx.write():
        VM.attempt(VirtualMachine.objects.filter(pk=ctx.job.subject_id), event)
        publish("vm", ctx.job.subject_id, "kept")


def undefine(ctx: Context) -> None:
    vm = work.machine(ctx)
    if vm.host is not None:
        work.line(ctx, vm).undefine(str(vm.pk))


def define_again(ctx: Context) -> None:
    vm = work.machine(ctx)
    if vm.host is not None and ctx.args.get("was") == "ready":
        work.define(ctx, vm)


def remove_disks(ctx: Context) -> None:
    vm = work.machine(ctx)
    if vm.host is None:
        return
    for disk in vm.disks.all():
        work.delete_volume(ctx, vm.host, disk.storage, disk.volume, wipe=wiping.of_row(disk))
    for aside in SetAside.objects.filter(preview__vm=vm).select_related("storage"):
        wipe = wiping.of_disk(aside.disk_id, aside.storage)
        work.delete_volume(ctx, vm.host, aside.storage, aside.volume, wipe=wipe)
    if (seed := specs.seed_of(vm)) is not None:
        work.delete_volume(ctx, vm.host, *seed, wipe=seed[0].wipe_after_delete)
    # The newest first: what others still lie on is not overwritten.
    snapshots = vm.snapshots.order_by("-created_at", "-pk")
    for snapshot in snapshots.select_related("memory_storage").prefetch_related("disks__storage"):
        for frozen in snapshot.disks.all():
            work.delete_volume(
                ctx, vm.host, frozen.storage, frozen.volume, wipe=wiping.of_disk(frozen.disk_id, frozen.storage)
            )  # fmt: skip
        if snapshot.memory_storage is not None:
            wipe = wiping.of_memory(vm, snapshot.memory_storage)
            work.delete_volume(ctx, vm.host, snapshot.memory_storage, snapshot.memory, wipe=wipe)


def mark_broken(ctx: Context) -> None:
    """Some disks may be gone: it is no longer the machine it was, and deleting it again is all there is to do."""
    with ctx.write():
        VM.attempt(VirtualMachine.objects.filter(pk=ctx.job.subject_id), "break")


def remove_row(ctx: Context) -> None:
    vm = work.machine(ctx)
    with ctx.write():
        record("vm.deleted", actor=JobActor(ctx.job), subject=vm, message=N_("%(name)s was deleted"), name=vm.name)
        VirtualMachine.objects.filter(pk=vm.pk).delete()
        publish("vm", ctx.job.subject_id, "deleted")


register(
    Plan(
        "vm.delete",
        N_("Delete"),
        "vm",
        (
            Step("power-off", power_off, N_("Power off"), undo=keep),
            Step("undefine", undefine, N_("Remove the definition"), undo=define_again, last_exit=True),
            Step("disks", remove_disks, N_("Remove the disks"), undo=mark_broken),
            Step(
                "row", remove_row, N_("Finish"), probe=gone,
                no_undo="A transaction: the row is gone, or nothing happened.",
            ),
        ),
    )
)  # fmt: skip
