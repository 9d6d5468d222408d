"""vm.delete-snapshot: the image above each frozen one is merged into it, then the rows follow, then files go.

args: `snapshot`, `name`, `memory`, `memory_storage`; `merges`, one entry a disk: `top` is merged into `base`, or
nothing lies on `base` (`top` is "") and it is removed. A machine that is off is held for it: QEMU has its disks open
and the guest does not run.
"""

from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.jobs.context import Context
from broker.jobs.plans import NotYet, Plan, Step, register
from broker.virt import specs, wiping, work
from broker.virt.driver import Refused
from broker.virt.models import Disk, Snapshot, SnapshotDisk, StorageDomain

from .vm_create_disk import RUNS
from .vm_take_snapshot import layers_of

LOOK_AGAIN = 0.5


def merge(ctx: Context) -> None:
    """Move every merge on by a step; done when QEMU has none of the upper images open any more."""
    vm = work.machine(ctx)
    entries = [(entry, storage) for entry, storage in layers_of(ctx, "merges") if entry["top"]]
    if not entries or ctx.args.get("merged"):
        return
    line = work.line(ctx, vm)
    if work.observe(ctx, vm).power not in RUNS:
        ctx.save(held=True)
        line.hold(str(vm.pk))
    try:
        shares = [
            line.merge_layer(
                str(vm.pk), entry["target"],
                top=specs.volume_path(storage, entry["top"]), base=specs.volume_path(storage, entry["base"]),
            )
            for entry, storage in entries
        ]  # fmt: skip
    except Refused:
        if work.observe(ctx, vm).power in RUNS:
            raise
        raise NotYet(LOOK_AGAIN, N_("Merging")) from None  # its QEMU ended meanwhile: it is held, and merged anew
    if min(shares) < 1.0:
        ctx.progress(sum(shares) / len(shares), N_("Merging"))
        raise NotYet(LOOK_AGAIN, N_("Merging"))
    ctx.save(merged=True)


def stop(ctx: Context) -> None:
    """Break off what has not ended, put down what has, and let go of a machine that was only held."""
    vm = work.machine(ctx)
    line = work.line(ctx, vm)
    for entry, _storage in layers_of(ctx, "merges"):
        line.stop_merge(str(vm.pk), entry["target"])
    for entry, storage in layers_of(ctx, "merges"):
        if entry["top"] and specs.volume_path(storage, entry["top"]) not in line.chain(str(vm.pk), entry["target"]):
            _follow(ctx, [entry])
    let_go(ctx)
    work.define(ctx, work.machine(ctx))


def note(ctx: Context) -> None:
    """The rows say what is in use now, and the snapshot is none any more."""
    vm = work.machine(ctx)
    rows = Snapshot.objects.filter(pk=ctx.args["snapshot"])
    if (snapshot := rows.first()) is not None:
        with ctx.write():
            _follow(ctx, [entry for entry in ctx.args["merges"] if entry["top"]])
            children = Snapshot.objects.filter(parent=snapshot)
            children.update(parent=snapshot.parent_id)
            was_current, parent = snapshot.current, snapshot.parent_id
            rows.delete()
            if was_current and parent:
                Snapshot.objects.filter(pk=parent).update(current=True)
            publish("vm", vm.pk, "changed")
    work.define(ctx, work.machine(ctx))


def _follow(ctx: Context, entries: list[dict[str, str]]) -> None:
    """Whatever had a merged image has the one that it was merged into."""
    for entry in entries:
        storage = StorageDomain.objects.get(pk=entry["storage"])
        base, path = entry["base"], specs.volume_path(storage, entry["base"])
        with ctx.write():
            frozen = SnapshotDisk.objects.filter(disk_id=entry["disk"])
            frozen.filter(volume=base, snapshot_id=ctx.args["snapshot"]).delete()
            disks = Disk.objects.filter(pk=entry["disk"])
            disks.filter(volume=entry["top"]).update(volume=base, path=path, below=entry["base_below"])
            frozen.filter(volume=entry["top"]).update(volume=base, below=entry["base_below"])
            frozen.filter(below=entry["top"]).update(below=base)
            disks.filter(below=entry["top"]).update(below=base)


def let_go(ctx: Context) -> None:
    if ctx.args.get("held"):
        vm = work.machine(ctx)
        work.cut_power(work.line(ctx, vm), str(vm.pk))
        work.observe(ctx, vm)


def remove(ctx: Context) -> None:
    """Files that nothing refers to any more: merged ones, those nothing lay on, and the memory."""
    let_go(ctx)
    vm = work.machine(ctx)
    for entry, storage in layers_of(ctx, "merges"):
        wipe = wiping.of_disk(entry["disk"], storage)
        work.delete_volume(ctx, work.host_of(vm), storage, entry["top"] or entry["base"], wipe=wipe)
    if ctx.args["memory"]:
        storage = StorageDomain.objects.get(pk=ctx.args["memory_storage"])
        wipe = wiping.of_memory(vm, storage)
        work.delete_volume(ctx, work.host_of(vm), storage, ctx.args["memory"], wipe=wipe)
    work.tell(
        ctx, vm, "vm.snapshot-deleted", N_("The snapshot %(snapshot)s of %(name)s was deleted"),
        snapshot=ctx.args["name"],
    )  # fmt: skip


register(
    Plan(
        "vm.delete-snapshot",
        N_("Delete a snapshot of"),
        "vm",
        (
            Step("merge", merge, N_("Merge its disks"), undo=stop, last_exit=True),
            Step(
                "note", note, N_("Write it down"),
                no_undo="The rows follow what is in use, and the machine's disks are what they were.",
            ),
            Step(
                "remove", remove, N_("Remove the files"), probe=work.told("vm.snapshot-deleted"),
                no_undo="A removed file does not come back; nothing refers to it any more.",
            ),
        ),
    )
)  # fmt: skip
