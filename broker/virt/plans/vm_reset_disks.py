"""vm.reset-disks: give a linked clone fresh disks by swapping its overlays, in well under a second.

args: `swap`, one entry per disk with the old and the new volume, fixed when the job was accepted, so that
doing a step again names the same files; `version`, on whose image the new overlays lie; `start`; perhaps `size` and
`was_size`, the processors and memory of the machine afterwards and before.
"""

from functools import partial
from typing import Any

from broker.core.text import gettext_noop as N_
from broker.jobs.context import Context
from broker.jobs.plans import NotYet, Plan, Step, register
from broker.virt import specs, wiping, work
from broker.virt.driver import DriverError, HostConnection, StorageSpec, VolumeInfo
from broker.virt.models import Disk, StorageDomain, TemplateVersion, VirtualMachine

REMOVE_TRIES, REMOVE_AGAIN = 10, 3.0  # how often and after how many seconds a host that was away is asked again


def power_off(ctx: Context) -> None:
    vm = work.machine(ctx)
    work.cut_power(work.line(ctx, vm), str(vm.pk))


def make_new(ctx: Context) -> None:
    vm = work.machine(ctx)
    version = TemplateVersion.objects.select_related("storage").get(pk=ctx.args["version"])
    image = specs.version_volume(version)

    for swap, storage in _swaps(ctx):
        work.with_storage(ctx, work.host_of(vm), storage, partial(_make, swap, image))


def _make(swap: dict[str, Any], image: VolumeInfo, host: HostConnection, storage: StorageSpec) -> None:
    host.create_volume(storage, swap["new"], capacity=swap["size"], backing=image)


def remove_new(ctx: Context) -> None:
    """Take back volumes made for nothing; one that became the machine's disk stays."""
    vm = work.machine(ctx)
    used = {disk.volume for disk in vm.disks.all()}
    for swap, storage in _swaps(ctx):
        if swap["new"] not in used:
            work.delete_volume(ctx, work.host_of(vm), storage, swap["new"], wipe=wiping.of_disk(swap["disk"], storage))


def swap_in(ctx: Context) -> None:
    _point_to(ctx, "new", 1, ctx.args["version"])
    work.define(ctx, work.machine(ctx))


def swap_back(ctx: Context) -> None:
    """Back to the old disks, as long as they are all there."""
    vm = work.machine(ctx)
    for swap, storage in _swaps(ctx):
        if not work.has_volume(ctx, work.host_of(vm), storage, swap["old"]):
            return
    _point_to(ctx, "old", 0, ctx.args["was_version"])
    work.define(ctx, work.machine(ctx))


def _point_to(ctx: Context, which: str, step: int, version: str) -> None:
    with ctx.write():
        for swap, storage in _swaps(ctx):
            Disk.objects.filter(pk=swap["disk"]).update(
                volume=swap[which],
                path=specs.volume_path(storage, swap[which]),
                generation=swap["generation"] + step,
                size_bytes=swap["size" if which == "new" else "was_size"],
            )
        size = ctx.args.get("size" if which == "new" else "was_size") or {}
        VirtualMachine.objects.filter(pk=ctx.job.subject_id).update(template_version_id=version, **size)


def remove_old(ctx: Context) -> None:
    remove_volumes(ctx)
    work.tell(ctx, work.machine(ctx), "vm.disks-reset", N_("%(name)s got fresh disks"))


def remove_volumes(ctx: Context) -> None:
    """The swap has happened; an old volume that cannot be removed now is told of and does not take it back."""
    vm = work.machine(ctx)
    for swap, storage in _swaps(ctx):
        try:
            wipe = wiping.of_disk(swap["disk"], storage)
            work.delete_volume(ctx, work.host_of(vm), storage, swap["old"], wipe=wipe)
        except DriverError as error:
            if error.retry and (tries := ctx.args.get("tries", 0)) < REMOVE_TRIES:
                ctx.save(tries=tries + 1)
                raise NotYet(REMOVE_AGAIN, error.template, **error.params) from error
            message = N_("The old disk %(volume)s of %(name)s is still on %(storage)s: %(cause)s")
            work.tell(
                ctx,
                vm,
                "vm.disk-left",
                message,
                severity="warning",
                volume=swap["old"],
                storage=storage.name,
                cause=error,
                explanation=error.as_dict(),
            )


def start(ctx: Context) -> None:
    """Started if asked for; failing that is told, for the disks are fresh all the same."""
    work.start_if_asked(ctx, N_("%(name)s got fresh disks, but did not start: %(cause)s"))


def _swaps(ctx: Context) -> list[tuple[dict[str, Any], StorageDomain]]:
    """The entries of `swap`, each with its storage."""
    storages = StorageDomain.objects.in_bulk({swap["storage"] for swap in ctx.args["swap"]})
    found = {str(pk): storage for pk, storage in storages.items()}
    return [(swap, found[swap["storage"]]) for swap in ctx.args["swap"]]


register(
    Plan(
        "vm.reset-disks",
        N_("Reset the disks of"),
        "vm",
        (
            Step(
                "power-off", power_off, N_("Power off"),
                no_undo="Whoever resets a machine has given up what was in its memory.",
            ),
            Step("make", make_new, N_("Make fresh disks"), undo=remove_new),
            Step("swap", swap_in, N_("Put them in"), undo=swap_back, last_exit=True),
            Step(
                "remove", remove_old, N_("Remove the old disks"), probe=work.told("vm.disks-reset"),
                no_undo="Does not fail for want of the hypervisor; undoing “swap” makes sure of the old disks first.",
            ),
            Step(
                "start", start, N_("Start it"), probe=work.told("vm.started"),
                no_undo="Does not fail for want of the hypervisor, and a running machine is no harm.",
            ),
        ),
    )
)  # fmt: skip
