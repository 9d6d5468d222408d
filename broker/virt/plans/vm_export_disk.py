"""vm.export-disk: a file of a disk, whole of itself, where the web servers can send it from.

args: `export`, its row; `disk`; `snapshot` that holds it, or "". Its subject is the machine, so that nobody starts it
or merges the snapshot meanwhile. The flat copy is made where the disk lies, and goes when it has been fetched; what
is on a LUN is flat as it is.
"""

from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.virt import exports, flat_copies, uploads, work
from broker.virt.cloning import Original, originals
from broker.virt.flat_copies import Span
from broker.virt.models import DiskExport, VirtualMachine


def _original(ctx: Context, vm: VirtualMachine) -> Original:
    snapshot = vm.snapshots.filter(pk=ctx.args["snapshot"]).first() if ctx.args["snapshot"] else None
    return next(one for one in originals(vm, snapshot) if str(one.disk.pk) == ctx.args["disk"])


def _copy_name(ctx: Context) -> str:
    return f"export-{ctx.args['export']}.qcow2"


def fetch(ctx: Context) -> None:
    vm, target = work.machine(ctx), exports.path_of(ctx.args["export"])
    original, half = _original(ctx, vm), exports.half_path(ctx.args["export"])
    if not target.exists() and not ctx.args["snapshot"]:
        flat_copies.require_still(ctx, vm)
    flat_copies.fetch(ctx, vm, original, _copy_name(ctx), target, half, Span(0, 0.9))
    digest = uploads.digest(target, lambda share: ctx.progress(0.9 + share * 0.1, N_("Taking the checksum")))
    with ctx.write():
        DiskExport.objects.filter(pk=ctx.args["export"]).update(
            size_bytes=target.stat().st_size, sha256=digest, ready_at=clock.now()
        )
        work.tell(
            ctx, vm, "vm.exported", N_("A file of the disk %(target)s of %(name)s can be downloaded"),
            target=original.disk.target,
        )  # fmt: skip


def drop(ctx: Context) -> None:
    vm = work.machine(ctx)
    exports.remove(ctx.args["export"])
    flat_copies.drop(ctx, vm, _original(ctx, vm), _copy_name(ctx))
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
