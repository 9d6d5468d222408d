"""backup.restore: a machine gets disks as they were in a backup; backup.restore-new: a new machine is made of one.

args of backup.restore are those of vm.reset-disks, with which it shares the swap; `files` maps each disk to the file
of the backup it is made from. Both: `backup`.
"""

from functools import partial

from broker.backups import places
from broker.backups.models import Backup, BackupDisk
from broker.core.text import gettext_noop as N_
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.virt import work
from broker.virt.driver import HostConnection, StorageSpec, VolumeInfo
from broker.virt.models import Disk
from broker.virt.plans import vm_create, vm_reset_disks


def make_disks(ctx: Context) -> None:
    """Copies of the backup's chain beside the present disks, under the names of their next generation."""
    vm, source = work.machine(ctx), _source(ctx)
    swaps = ctx.args["swap"]
    for index, swap in enumerate(swaps):
        disk = Disk.objects.select_related("storage").get(pk=swap["disk"])
        image = places.volume(source.target, BackupDisk.objects.get(pk=swap["file"]))
        work.with_storage(
            ctx, work.host_of(vm), disk.storage, partial(_copy, ctx, swap["new"], image, index, len(swaps))
        )


def _copy(
    ctx: Context, name: str, image: VolumeInfo, index: int, of: int, host: HostConnection, storage: StorageSpec
) -> None:
    def tell(share: float) -> None:
        ctx.progress((index + share) / of, N_("Restoring the disks"))

    host.copy_volume(storage, name, source=image, progress=tell)


def told(ctx: Context) -> None:
    """The old disks go as after a reset, and the restoring is told."""
    vm = work.machine(ctx)
    vm_reset_disks.remove_volumes(ctx)
    work.tell(ctx, vm, "backup.restored", N_("%(name)s was restored from a backup"), backup=str(_source(ctx)))


def make_new_disks(ctx: Context) -> None:
    vm, source = work.machine(ctx), _source(ctx)
    files = {disk.target: disk for disk in source.disks.all()}
    disks = list(vm.disks.all())
    for index, disk in enumerate(disks):
        image = places.volume(source.target, files[disk.target])
        work.with_storage(
            ctx, work.host_of(vm), disk.storage, partial(_copy, ctx, disk.volume, image, index, len(disks))
        )


def start(ctx: Context) -> None:
    """Started if asked for; failing that is told, for the disks are restored all the same."""
    work.start_if_asked(ctx, N_("%(name)s was restored, but did not start: %(cause)s"))


def _source(ctx: Context) -> Backup:
    return Backup.objects.select_related("target__storage").get(pk=ctx.args["backup"])


register(
    Plan(
        "backup.restore",
        N_("Restore"),
        "vm",
        (
            Step(
                "power-off", vm_reset_disks.power_off, N_("Power off"),
                no_undo="Whoever restores a machine has given up what was in its memory.",
            ),
            Step("make", make_disks, N_("Copy the disks out of the backup"), undo=vm_reset_disks.remove_new),
            Step("swap", vm_reset_disks.swap_in, N_("Put them in"), undo=vm_reset_disks.swap_back, last_exit=True),
            Step(
                "remove", told, N_("Remove the old disks"), probe=work.told("backup.restored"),
                no_undo="Does not fail for want of the hypervisor; undoing “swap” makes sure of the old disks first.",
            ),
            Step(
                "start", start, N_("Start it"), probe=work.told("vm.started"),
                no_undo="Does not fail for want of the hypervisor, and a running machine is no harm.",
            ),
        ),
    )
)  # fmt: skip
register(
    Plan(
        "backup.restore-new",
        N_("Restore as new"),
        "vm",
        (
            Step("place", vm_create.choose_host, N_("Choose a host"), undo=vm_create.remove_row),
            Step("disk", make_new_disks, N_("Copy the disks out of the backup"), undo=vm_create.remove_disk),
            Step("define", vm_create.define, N_("Define the machine"), undo=vm_create.undefine),
            Step(
                "ready", vm_create.make_ready, N_("Finish"), probe=work.told("vm.created"), last_exit=True,
                no_undo="The row goes with the step “place”, whatever its state.",
            ),
            Step(
                "start", start, N_("Start it"),
                no_undo="The step “define” powers the machine off before it removes it.",
            ),
        ),
    )
)  # fmt: skip
