"""vm.grow-disk: the top image gets larger, and the row says so when it is. args: `disk`, `size`."""

from broker.core.text import gettext_noop as N_
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.virt import work
from broker.virt.models import Disk


def grow(ctx: Context) -> None:
    vm, disk = work.machine(ctx), Disk.objects.select_related("storage").get(pk=ctx.args["disk"])
    line, size = work.line(ctx, vm), ctx.args["size"]
    work.with_storage(
        ctx, work.host_of(vm), disk.storage,
        lambda host, storage: line.grow_disk(str(vm.pk), disk.target, storage, disk.volume, size),
    )  # fmt: skip
    with ctx.write():
        Disk.objects.filter(pk=disk.pk, size_bytes__lt=size).update(size_bytes=size)
    work.tell(
        ctx, vm, "vm.disk-grown", N_("The disk %(target)s of %(name)s has %(size)s bytes now"),
        target=disk.target, size=size,
    )  # fmt: skip


register(
    Plan(
        "vm.grow-disk",
        N_("Grow a disk of"),
        "vm",
        (
            Step(
                "grow", grow, N_("Grow the image"), probe=work.told("vm.disk-grown"),
                no_undo="An image cannot shrink: it has grown, and the row says so, or nothing happened.",
            ),
        ),
    )
)  # fmt: skip
