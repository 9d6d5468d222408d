"""vm.export: an OVA of a machine, where the web servers can send it from.

args: `export`, its row; `name`, of its members; `snapshot` that holds its disks, or "". Its subject is the machine, so
that nobody starts it or merges the snapshot meanwhile. Disk by disk a flat copy is fetched and written as a VMDK; the
VMDKs go when the appliance is whole.
"""

from pathlib import Path

from broker.core import clock
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.virt import exports, flat_copies, ova_pack, ovf, uploads, work
from broker.virt.cloning import Original, originals
from broker.virt.flat_copies import Span
from broker.virt.models import DiskExport, VirtualMachine


def _originals(ctx: Context, vm: VirtualMachine) -> list[Original]:
    """In the order in which they stand in the machine."""
    snapshot = vm.snapshots.filter(pk=ctx.args["snapshot"]).first() if ctx.args["snapshot"] else None
    if ctx.args["snapshot"] and snapshot is None and not ctx.undoing:
        raise Conflict(
            N_("The snapshot of %(name)s is gone."), rule="snapshot.whole", fix=N_("Choose another snapshot."),
            name=vm.name,
        )  # fmt: skip
    return sorted(originals(vm, snapshot), key=lambda one: one.disk.order)


def _copy_name(ctx: Context, original: Original) -> str:
    return f"export-{ctx.args['export']}-{original.disk.pk}.qcow2"


def _here(ctx: Context, original: Original, kind: str) -> Path:
    """Where the disk lies on the server: begun with the row's id, by which the duty knows whose it is."""
    return exports.folder() / f"{ctx.args['export']}.{original.disk.pk}.{kind}"


def _member(ctx: Context, number: int) -> str:
    return f"{ctx.args['name']}-disk{number + 1}.vmdk"


def copy(ctx: Context) -> None:
    vm = work.machine(ctx)
    found = _originals(ctx, vm)
    for number, original in enumerate(found):
        _copy(ctx, vm, original, _member(ctx, number), number / len(found), 1 / len(found))


def _copy(ctx: Context, vm: VirtualMachine, original: Original, member: str, begin: float, width: float) -> None:
    done = _here(ctx, original, "vmdk")
    if done.exists():
        return
    flat, half = _here(ctx, original, "qcow2"), _here(ctx, original, "part")
    if not flat.exists() and not ctx.args["snapshot"]:
        flat_copies.require_still(ctx, vm)
    flat_copies.fetch(ctx, vm, original, _copy_name(ctx, original), flat, half, Span(begin, width * 0.5))
    span = Span(begin + width * 0.5, width * 0.5)
    try:
        capacity = ova_pack.to_vmdk(
            flat, half, member, lambda share: ctx.progress(span.at(share), N_("Writing the disk as VMDK"))
        )
    except OSError as error:
        raise flat_copies.no_room(error) from error
    ctx.save(capacities={**ctx.args.get("capacities", {}), str(original.disk.pk): capacity})
    half.rename(done)
    flat.unlink()


def copied(ctx: Context) -> bool:
    vm = work.machine(ctx)
    return all(_here(ctx, one, "vmdk").exists() for one in _originals(ctx, vm))


def drop(ctx: Context) -> None:
    """Every file of it, here and where the disks lie, and its row."""
    vm = work.machine(ctx)
    _unlink(ctx)
    for original in _originals(ctx, vm):
        flat_copies.drop(ctx, vm, original, _copy_name(ctx, original))
    with ctx.write():
        DiskExport.objects.filter(pk=ctx.args["export"]).delete()
        publish("vm", vm.pk, "changed")


def _unlink(ctx: Context) -> None:
    for path in exports.folder().glob(f"{ctx.args['export']}.*"):
        path.unlink(missing_ok=True)


def pack(ctx: Context) -> None:
    vm, target = work.machine(ctx), exports.path_of(ctx.args["export"])
    found, half = _originals(ctx, vm), exports.half_path(ctx.args["export"])
    files = [(_member(ctx, number), _here(ctx, one, "vmdk")) for number, one in enumerate(found)]
    sizes = [path.stat().st_size for _, path in files]
    uploads.require_room(sum(sizes))
    disks = [
        ovf.DescribedDisk(file=member, size=size, capacity=ctx.args["capacities"][str(one.disk.pk)])
        for (member, _), size, one in zip(files, sizes, found, strict=True)
    ]

    def tick(share: float) -> None:
        uploads.require_room(0)
        ctx.progress(share, N_("Putting the appliance together"))

    try:
        digest = ova_pack.pack(half, ctx.args["name"], ovf.described(_described(vm), disks), files, tick)
    except OSError as error:
        raise flat_copies.no_room(error) from error
    ctx.check()
    half.rename(target)
    with ctx.write():
        DiskExport.objects.filter(pk=ctx.args["export"]).update(
            size_bytes=target.stat().st_size, sha256=digest, ready_at=clock.now()
        )
        work.tell(ctx, vm, "vm.exported", N_("An OVA of %(name)s can be downloaded"))


def _described(vm: VirtualMachine) -> ovf.DescribedMachine:
    return ovf.DescribedMachine(
        name=vm.name, description=vm.description, vcpus=vm.vcpus, memory_mib=vm.memory_mib,
        firmware=vm.options.get("firmware", "bios"), windows=vm.options.get("system") == "windows",
        networks=[nic.network.name for nic in vm.nics.select_related("network")],
    )  # fmt: skip


def unpack(ctx: Context) -> None:
    exports.remove(ctx.args["export"])


def clear(ctx: Context) -> None:
    _unlink(ctx)


def is_clear(ctx: Context) -> bool:
    return not any(exports.folder().glob(f"{ctx.args['export']}.*"))


register(
    Plan(
        exports.OVA_PLAN,
        N_("Export as OVA"),
        "vm",
        (
            Step("copy", copy, N_("Copy its disks"), probe=copied, undo=drop),
            Step(
                "pack", pack, N_("Put the appliance together"), probe=work.told("vm.exported"), undo=unpack,
                last_exit=True,
            ),
            Step(
                "clear", clear, N_("Finish"), probe=is_clear,
                no_undo="What it removes is in the appliance, and made anew with it.",
            ),
        ),
    )
)  # fmt: skip
