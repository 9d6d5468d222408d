"""vm.export-disk: a file of a disk, whole of itself, where the web servers can send it from.

args: `export`, its row; `disk`; `snapshot` that holds it, or "". Its subject is the machine, so that nobody starts it
or merges the snapshot meanwhile. The flat copy is made where the disk lies, and goes when it has been fetched; what
is on a LUN is flat as it is.
"""

from broker.core import clock
from broker.core.errors import Conflict, NoCapacity
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.virt import exports, uploads, work
from broker.virt.cloning import STILL, Original, originals
from broker.virt.driver import NotFound, VolumeInfo
from broker.virt.models import DiskExport, StorageDomain, VirtualMachine


def _original(ctx: Context, vm: VirtualMachine) -> Original:
    snapshot = vm.snapshots.filter(pk=ctx.args["snapshot"]).first() if ctx.args["snapshot"] else None
    return next(one for one in originals(vm, snapshot) if str(one.disk.pk) == ctx.args["disk"])


def _copy_name(ctx: Context) -> str:
    return f"export-{ctx.args['export']}.qcow2"


def fetch(ctx: Context) -> None:
    vm, target = work.machine(ctx), exports.path_of(ctx.args["export"])
    original = _original(ctx, vm)
    if not target.exists():
        if not ctx.args["snapshot"] and work.observe(ctx, vm).power not in STILL:
            raise Conflict(
                N_("%(name)s is running, and its guest writes to the disk."), rule="export.still",
                fix=N_("Take a snapshot and download the disk as that holds it, or shut the machine down."),
                name=vm.name,
            )  # fmt: skip
        flat = original.image if _on_lun(original) else _copy(ctx, vm, original)
        uploads.require_room(min(flat.allocation, flat.capacity))
        _fetch(ctx, vm, original.storage, flat.name)
    _drop_copy(ctx, vm, original)
    digest = uploads.digest(target, lambda share: ctx.progress(0.9 + share * 0.1, N_("Taking the checksum")))
    with ctx.write():
        DiskExport.objects.filter(pk=ctx.args["export"]).update(
            size_bytes=target.stat().st_size, sha256=digest, ready_at=clock.now()
        )
        work.tell(
            ctx, vm, "vm.exported", N_("A file of the disk %(target)s of %(name)s can be downloaded"),
            target=original.disk.target,
        )  # fmt: skip


def _copy(ctx: Context, vm: VirtualMachine, original: Original) -> VolumeInfo:
    return work.with_storage(
        ctx, work.host_of(vm), original.storage,
        lambda line, storage: line.copy_volume(
            storage, _copy_name(ctx), source=original.image,
            progress=lambda share: ctx.progress(share * 0.5, N_("Copying the disk")),
        ),
    )  # fmt: skip


def _on_lun(original: Original) -> bool:
    return original.storage.kind == StorageDomain.Kind.ISCSI


def _drop_copy(ctx: Context, vm: VirtualMachine, original: Original) -> None:
    if not _on_lun(original):
        work.delete_volume(ctx, work.host_of(vm), original.storage, _copy_name(ctx))


def _fetch(ctx: Context, vm: VirtualMachine, place: StorageDomain, name: str) -> None:
    half = exports.half_path(ctx.args["export"])

    def tick(share: float) -> None:
        uploads.require_room(0)
        ctx.progress(0.5 + share * 0.4, N_("Fetching the copy"))

    try:
        work.with_storage(
            ctx, work.host_of(vm), place,
            lambda line, storage: line.fetch_volume(storage, name, half, progress=tick),
        )  # fmt: skip
        half.rename(exports.path_of(ctx.args["export"]))
    except OSError as error:
        raise NoCapacity(
            N_("There is no room for the file on the server (%(reason)s)."), rule="export.space",
            fix=N_("Free space in Berth's data directory."), reason=error.strerror or "?",
        ) from error  # fmt: skip


def drop(ctx: Context) -> None:
    vm = work.machine(ctx)
    exports.remove(ctx.args["export"])
    try:
        _drop_copy(ctx, vm, _original(ctx, vm))
    except NotFound:
        pass  # the storage was never made ready, so there is no copy on it
    with ctx.write():
        DiskExport.objects.filter(pk=ctx.args["export"]).delete()
        publish("vm", vm.pk, "changed")


register(
    Plan(
        exports.PLAN,
        N_("Make a file of a disk of"),
        "vm",
        (Step("fetch", fetch, N_("Copy it"), probe=work.told("vm.exported"), undo=drop),),
    )
)  # fmt: skip
