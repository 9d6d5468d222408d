"""vm.limit-disk: the run is held to the limits, then the row and the definition say them. args: `disk`, `limits`."""

from broker.core.text import gettext_noop as N_
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.virt import work
from broker.virt.driver import DiskLimits
from broker.virt.models import Disk


def limit(ctx: Context) -> None:
    vm, disk = work.machine(ctx), Disk.objects.get(pk=ctx.args["disk"])
    if vm.host is not None:
        work.line(ctx, vm).limit_disk(str(vm.pk), disk.target, DiskLimits(**ctx.args["limits"]))
    with ctx.write():
        Disk.objects.filter(pk=disk.pk).update(limits=ctx.args["limits"])
    if vm.host is not None:
        work.define(ctx, work.machine(ctx))
    work.tell(
        ctx, vm, "vm.disk-limited", N_("The disk %(target)s of %(name)s has new limits"), target=disk.target
    )  # fmt: skip


register(
    Plan(
        "vm.limit-disk",
        N_("Limit a disk of"),
        "vm",
        (
            Step(
                "limit", limit, N_("Set the limits"), probe=work.told("vm.disk-limited"),
                no_undo="The guest loses nothing by a limit; the row says what its next start has.",
            ),
        ),
    )
)  # fmt: skip
