"""vm.delete: off, then the definition, then the disks, then the row.

args: `was`, its state before; perhaps `keep`: its disks become those of no machine then, and belong to `owner`.
"""

from functools import partial

from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.jobs.runner import JobActor
from broker.virt import floating, specs, wiping, work
from broker.virt.disk_rules import leaning
from broker.virt.driver import HostConnection, StorageSpec, VolumeInfo
from broker.virt.models import SetAside, VirtualMachine
from broker.virt.states import VM


def gone(ctx: Context) -> bool:
    """Whether the row is gone: then everything before it was done."""
    return not VirtualMachine.objects.filter(pk=ctx.job.subject_id).exists()


def power_off(ctx: Context) -> None:
    vm = work.machine(ctx)
    if ctx.args.get("keep"):
        _require_whole(ctx, vm)
    if vm.host is None:
        return
    work.cut_power(work.line(ctx, vm), str(vm.pk))
    work.observe(ctx, vm)


def _require_whole(ctx: Context, vm: VirtualMachine) -> None:
    """Raise Conflict, before anything is done, when a disk that is to be kept is not there or not of itself."""
    for disk in vm.disks.all():
        seen = work.with_storage(ctx, work.host_of(vm), disk.storage, partial(_seen, disk.volume))
        if seen is None:
            raise Conflict(
                N_("The image of the disk %(target)s of %(name)s is not there."), rule="disk.present",
                fix=N_("Look on the host who moved it; restore a backup if it is gone."),
                target=disk.target, name=vm.name,
            )  # fmt: skip
        if specs.image_of(disk.pk, seen, disk.size_bytes).backing:
            raise leaning(vm, disk.target)


def _seen(volume: str, line: HostConnection, storage: StorageSpec) -> VolumeInfo | None:
    return line.volume(storage, volume)


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
    for disk in () if ctx.args.get("keep") else vm.disks.all():
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
        kept: dict[str, str] = ctx.args.get("keep", {})
        for disk in vm.disks.all() if kept else ():
            floating.let_float(disk, name=f"{vm.name} {disk.target}", owner_id=kept["owner"])
            publish("disk", disk.pk, "created")
        record(
            "vm.deleted", actor=JobActor(ctx.job), subject=vm, name=vm.name,
            message=N_("%(name)s was deleted; its disks were kept") if kept else N_("%(name)s was deleted"),
        )  # fmt: skip
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
