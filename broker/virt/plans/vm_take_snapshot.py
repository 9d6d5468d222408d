"""vm.take-snapshot: new images on top of the present ones, all at one moment; then the rows follow what is in use.

args: `snapshot`, its id, `name`, `description`, `quiesce`, `memory` (a volume or ""), and `layers`, one entry a disk
with the image that is frozen (`old`) and the one that is written to from then on (`new`).
"""

from functools import partial
from typing import Any

from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.virt import foreign_snapshots, specs, wiping, work
from broker.virt.driver import HostConnection, PowerState, StorageSpec
from broker.virt.models import Disk, Snapshot, SnapshotDisk, StorageDomain, VirtualMachine

from .vm_create_disk import RUNS

OFF = (PowerState.OFF, PowerState.CRASHED)


def layers_of(ctx: Context, name: str = "layers") -> list[tuple[dict[str, Any], StorageDomain]]:
    """The entries of an argument, each with its storage."""
    found = StorageDomain.objects.in_bulk([entry["storage"] for entry in ctx.args[name]])
    storages = {str(pk): storage for pk, storage in found.items()}
    return [(entry, storages[entry["storage"]]) for entry in ctx.args[name]]


def freeze(ctx: Context) -> None:
    """While it runs QEMU makes the new images itself; else they are made here and the definition names them next."""
    vm = work.machine(ctx)
    power = work.observe(ctx, vm).power
    if power in (*RUNS, *OFF):
        foreign_snapshots.refuse(work.line(ctx, vm), vm)
    if power in RUNS:
        overlays = {entry["target"]: specs.volume_path(storage, entry["new"]) for entry, storage in layers_of(ctx)}
        work.line(ctx, vm).freeze_disks(
            str(vm.pk), overlays, memory=_memory_path(ctx), quiesce=ctx.args["quiesce"]
        )  # fmt: skip
        ctx.save(ran=True)
    elif power in OFF and not ctx.args["memory"]:
        for entry, storage in layers_of(ctx):
            work.with_storage(ctx, work.host_of(vm), storage, partial(_lay, entry))
    else:
        raise Conflict(
            N_("%(name)s is %(power)s; that cannot be done now."), rule="power.state",
            fix=N_("Take the snapshot again as it is now."), name=vm.name, power=power,
        )  # fmt: skip


def _lay(entry: dict[str, Any], host: HostConnection, storage: StorageSpec) -> None:
    below = host.volume(storage, entry["old"])
    if below is None:
        raise Conflict(
            N_("The image %(volume)s is not there."), rule="disk.present",
            fix=N_("Look on the host who moved it; restore a backup if it is gone."), volume=entry["old"],
        )  # fmt: skip
    size = Disk.objects.values_list("size_bytes", flat=True).get(pk=entry["disk"])
    below = specs.image_of(entry["disk"], below, size)
    host.create_volume(storage, entry["new"], capacity=below.capacity, backing=below)


def tops(ctx: Context, vm: VirtualMachine) -> dict[str, str]:
    """The volume each disk is written to, as the hypervisor has it: target → name."""
    line = work.line(ctx, vm)
    found = {}
    for entry, _storage in layers_of(ctx):
        chain = line.chain(str(vm.pk), entry["target"])
        found[entry["target"]] = chain[0].rpartition("/")[2] if chain else ""
    return found


def _memory_path(ctx: Context) -> str:
    if not ctx.args["memory"]:
        return ""
    return specs.volume_path(StorageDomain.objects.get(pk=ctx.args["memory_storage"]), ctx.args["memory"])


def unfreeze(ctx: Context) -> None:
    """What QEMU writes to already stays, and is put down as a snapshot; new images that are not in use go."""
    if taken(ctx):
        return  # the next start brings the definition up to date
    vm = work.machine(ctx)
    in_use = tops(ctx, vm)
    if all(in_use[entry["target"]] == entry["new"] for entry, _storage in layers_of(ctx)):
        note(ctx)
        return
    for entry, storage in layers_of(ctx):
        if in_use[entry["target"]] != entry["new"]:
            wipe = wiping.of_disk(entry["disk"], storage)
            work.delete_volume(ctx, work.host_of(vm), storage, entry["new"], wipe=wipe)
    if ctx.args["memory"]:
        storage = StorageDomain.objects.get(pk=ctx.args["memory_storage"])
        wipe = wiping.of_memory(vm, storage)
        work.delete_volume(ctx, work.host_of(vm), storage, ctx.args["memory"], wipe=wipe)


def taken(ctx: Context) -> bool:
    return Snapshot.objects.filter(pk=ctx.args["snapshot"]).exists()


def note(ctx: Context) -> None:
    """The snapshot's rows, and the disks' new images, in one transaction; then the definition."""
    if not taken(ctx):
        _write(ctx)
    work.define(ctx, work.machine(ctx))


def _write(ctx: Context) -> None:
    vm, args = work.machine(ctx), ctx.args
    parent = vm.snapshots.filter(current=True).first()
    with ctx.write():
        vm.snapshots.filter(current=True).update(current=False)
        snapshot = Snapshot.objects.create(
            pk=args["snapshot"], vm=vm, parent=parent, name=args["name"], description=args["description"],
            current=True, running=bool(args.get("ran")), quiesced=args["quiesce"], memory=args["memory"],
            memory_storage_id=args["memory_storage"] if args["memory"] else None,
        )  # fmt: skip
        for entry, storage in layers_of(ctx):
            rows = Disk.objects.filter(pk=entry["disk"])
            SnapshotDisk.objects.create(
                snapshot=snapshot, disk_id=entry["disk"], storage=storage, volume=entry["old"],
                below=entry["old_below"], size_bytes=rows.values_list("size_bytes", flat=True).get(),
            )  # fmt: skip
            rows.update(
                volume=entry["new"], path=specs.volume_path(storage, entry["new"]), below=entry["old"],
                generation=entry["generation"] + 1,
            )  # fmt: skip
        work.tell(
            ctx, vm, "vm.snapshot-taken", N_("The snapshot %(snapshot)s of %(name)s was taken"), snapshot=snapshot
        )
        publish("vm", vm.pk, "changed")


register(
    Plan(
        "vm.take-snapshot",
        N_("Take a snapshot of"),
        "vm",
        (
            Step("freeze", freeze, N_("Keep the disks as they are"), undo=unfreeze, last_exit=True),
            Step(
                "note", note, N_("Write it down"),
                no_undo="The rows follow what is in use; undoing “freeze” writes them when the images are.",
            ),
        ),
    )
)  # fmt: skip
