"""vm.examine: compare the rows, the files and the hypervisor's word of a machine's disks; mend what is safe to mend.

args: `mend`; the look saves `findings`. Mending writes the definition anew and proves by the checksums of all images
that it left them alone.
"""

from typing import Any

from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.virt import chains, work
from broker.virt.lost_images import volumes_of
from broker.virt.models import VirtualMachine
from broker.virt.models.disk import image_format

from .vm_create_disk import RUNS


def examine(ctx: Context) -> None:
    vm = work.machine(ctx)
    found = _look(ctx, vm)
    if ctx.args["mend"] and any(one.mendable for one in found):
        _mend(ctx, vm)
        left = _look(ctx, work.machine(ctx))
        ctx.save(mended=[one.stored() for one in found if one not in left])
        found = left
    ctx.save(findings=[one.stored() for one in found])
    work.tell(
        ctx, vm, "vm.examined", N_("The disks of %(name)s were examined; differences: %(count)s, repaired: %(mended)s"),
        severity="warning" if found else "info", count=len(found), mended=len(ctx.args.get("mended", [])),
    )  # fmt: skip


def _look(ctx: Context, vm: VirtualMachine) -> list[chains.Finding]:
    found: list[chains.Finding] = []
    running = work.observe(ctx, vm).power in RUNS
    for disk in vm.disks.all():
        opened = work.line(ctx, vm).chain(str(vm.pk), disk.target)
        rows = volumes_of(disk)
        files = work.with_storage(
            ctx,
            work.host_of(vm),
            disk.storage,
            lambda line, spec, disk=disk: {  # type: ignore[misc]
                one.path: "" if image_format(disk.pk, one.name) == "raw" else one.backing for one in line.volumes(spec)
            },
        )
        folder = disk.storage.path.rstrip("/")
        own = f"{disk.pk}."
        known = frozenset(disk.frozen.values_list("volume", flat=True)) | {one.volume for one in disk.set_aside.all()}
        found += chains.compare(chains.Account(disk.target, folder, rows, opened, running, own, known), files)
    return found


def _mend(ctx: Context, vm: VirtualMachine) -> None:
    before = _checksums(ctx, vm)
    work.define(ctx, vm)
    if _checksums(ctx, vm) != before:
        raise Conflict(
            N_("The images of %(name)s changed while its definition was written."), rule="disk.untouched",
            fix=N_("Somebody else writes to them: find out who before the machine is started."), name=vm.name,
        )  # fmt: skip


def _checksums(ctx: Context, vm: VirtualMachine) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for disk in vm.disks.all():
        for volume in volumes_of(disk):
            found[volume] = work.with_storage(
                ctx, work.host_of(vm), disk.storage,
                lambda line, spec, volume=volume: line.checksum(  # type: ignore[misc]
                    spec, volume, progress=lambda share: ctx.progress(share, N_("Reading the images"))
                ),
            )  # fmt: skip
    return found


register(
    Plan(
        "vm.examine",
        N_("Examine the disks of"),
        "vm",
        (
            Step(
                "examine", examine, N_("Compare"), probe=work.told("vm.examined"),
                no_undo="It reads; what it mends is the definition, which says then what the rows say.",
            ),
        ),
    )
)  # fmt: skip
