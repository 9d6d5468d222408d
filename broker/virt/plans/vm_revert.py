"""vm.revert: fresh images on the snapshot's frozen ones take the place of what was written since.

args: `snapshot`; `swap`, one entry a disk (see the action); `start`; `was_current`. libvirt cannot revert to an
external snapshot, so this is what it comes down to: power off, new images, the definition, and with memory the saved
machine woken on the new images. With `keep` it is a preview: the old images are set aside, and its memory is woken
only with `wake`.
"""

from functools import partial
from typing import Any

from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.jobs.context import Context
from broker.jobs.plans import NotYet, Plan, Step, register
from broker.virt import previews, specs, wiping, work
from broker.virt.cloning import STILL
from broker.virt.driver import DriverError, HostConnection, NotFound, StorageSpec
from broker.virt.models import Disk, Preview, Snapshot

from .vm_reset_disks import REMOVE_AGAIN, REMOVE_TRIES
from .vm_take_snapshot import layers_of

LOOKS, IS_BACK = "vm.preview.began", "vm.reverted"


def be_off(ctx: Context) -> None:
    """Whoever only looks at a snapshot loses nothing by it, so a machine that was started meanwhile stays on."""
    vm = work.machine(ctx)
    if ctx.args.get("keep") and work.observe(ctx, vm).power not in STILL:
        raise Conflict(
            N_("%(name)s is running."), rule="power.off", fix=N_("Shut it down, and look again."), name=vm.name
        )
    power_off(ctx)


def power_off(ctx: Context) -> None:
    vm = work.machine(ctx)
    work.cut_power(work.line(ctx, vm), str(vm.pk))


def make(ctx: Context) -> None:
    vm = work.machine(ctx)
    for entry, storage in layers_of(ctx, "swap"):
        work.with_storage(ctx, work.host_of(vm), storage, partial(_lay, entry))


def _lay(entry: dict[str, Any], host: HostConnection, storage: StorageSpec) -> None:
    below = host.volume(storage, entry["below"])
    if below is None:
        raise NotFound(
            N_("The image %(volume)s of the snapshot is not there."),
            fix=N_("Look on the host who moved it; restore a backup if it is gone."), volume=entry["below"],
        )  # fmt: skip
    below = specs.image_of(entry["disk"], below, entry["size"])
    host.create_volume(storage, entry["new"], capacity=below.capacity, backing=below)


def remove_new(ctx: Context) -> None:
    vm = work.machine(ctx)
    used = {disk.volume for disk in vm.disks.all()}
    for entry, storage in layers_of(ctx, "swap"):
        if entry["new"] not in used:
            work.delete_volume(
                ctx, work.host_of(vm), storage, entry["new"], wipe=wiping.of_disk(entry["disk"], storage)
            )  # fmt: skip


def swap(ctx: Context) -> None:
    _point(ctx, new=True)
    work.define(ctx, work.machine(ctx))


def swap_back(ctx: Context) -> None:
    """Back to the images it had, as long as they are all there."""
    vm = work.machine(ctx)
    for entry, storage in layers_of(ctx, "swap"):
        if not work.has_volume(ctx, work.host_of(vm), storage, entry["old"]):
            return
    _point(ctx, new=False)
    work.define(ctx, work.machine(ctx))


def _point(ctx: Context, *, new: bool) -> None:
    current = ctx.args["snapshot"] if new else ctx.args["was_current"]
    with ctx.write():
        if ctx.args.get("keep") and new:
            previews.write(work.machine(ctx), snapshot=current, was_current=ctx.args["was_current"])
        elif ctx.args.get("keep"):
            Preview.objects.filter(vm=ctx.job.subject_id).delete()
        for entry, storage in layers_of(ctx, "swap"):
            volume = entry["new" if new else "old"]
            Disk.objects.filter(pk=entry["disk"]).update(
                volume=volume, path=specs.volume_path(storage, volume), below=entry["below" if new else "old_below"],
                size_bytes=entry["size" if new else "was_size"], generation=entry["generation"] + int(new),
            )  # fmt: skip
        rows = Snapshot.objects.filter(vm=ctx.job.subject_id)
        rows.filter(current=True).update(current=False)
        if current:
            rows.filter(pk=current).update(current=True)
        publish("vm", ctx.job.subject_id, "changed")


def wake(ctx: Context) -> None:
    """With memory it goes on where it was; what cannot be woken is put back as it was before."""
    snapshot = Snapshot.objects.select_related("memory_storage").get(pk=ctx.args["snapshot"])
    if snapshot.memory_storage is None or not ctx.args.get("wake", True):
        return
    vm = work.machine(ctx)
    memory = specs.volume_path(snapshot.memory_storage, snapshot.memory)
    disks = {entry["target"]: specs.volume_path(storage, entry["new"]) for entry, storage in layers_of(ctx, "swap")}
    work.line(ctx, vm).wake_from(str(vm.pk), memory, disks)
    work.observe(ctx, vm)


def remove_old(ctx: Context) -> None:
    """The machine has gone back, and nobody wants the old images, unless it only looks at the snapshot."""
    vm = work.machine(ctx)
    name = Snapshot.objects.filter(pk=ctx.args["snapshot"]).values_list("name", flat=True).first()
    if ctx.args.get("keep"):
        work.tell(ctx, vm, LOOKS, N_("%(name)s looks at the snapshot %(snapshot)s"), snapshot=name)
        return
    remove_images(ctx, "old")
    work.tell(ctx, vm, IS_BACK, N_("%(name)s is back at the snapshot %(snapshot)s"), snapshot=name)


def remove_images(ctx: Context, key: str) -> None:
    """Of each disk the image that `swap` names so; one that cannot be removed now is told of and stops nothing."""
    vm = work.machine(ctx)
    for entry, storage in layers_of(ctx, "swap"):
        try:
            wipe = wiping.of_disk(entry["disk"], storage)
            work.delete_volume(ctx, work.host_of(vm), storage, entry[key], wipe=wipe)
        except DriverError as error:
            if error.retry and (tries := ctx.args.get("tries", 0)) < REMOVE_TRIES:
                ctx.save(tries=tries + 1)
                raise NotYet(REMOVE_AGAIN, error.template, **error.params) from error
            work.tell(
                ctx, vm, "vm.disk-left", N_("The old disk %(volume)s of %(name)s is still on %(storage)s: %(cause)s"),
                severity="warning", volume=entry[key], storage=storage.name, cause=error,
                explanation=error.as_dict(),
            )  # fmt: skip


def is_told(ctx: Context) -> bool:
    return not {LOOKS, IS_BACK}.isdisjoint(ctx.args.get("told", []))


def start(ctx: Context) -> None:
    work.start_if_asked(ctx, N_("%(name)s went back to the snapshot, but did not start: %(cause)s"))


register(
    Plan(
        "vm.revert",
        N_("Put back to a snapshot"),
        "vm",
        (
            Step(
                "power-off", be_off, N_("Power off"),
                no_undo="Whoever goes back has given up what was in the machine's memory.",
            ),
            Step("make", make, N_("Make fresh images on the snapshot"), undo=remove_new),
            Step("swap", swap, N_("Put them in"), undo=swap_back, last_exit=True),
            Step("wake", wake, N_("Wake it from its memory"), undo=power_off),
            Step(
                "remove", remove_old, N_("Remove what was written since"), probe=is_told,
                no_undo="Does not fail for want of the hypervisor; undoing “swap” makes sure of the old images first.",
            ),
            Step(
                "start", start, N_("Start it"), probe=work.told("vm.started"),
                no_undo="Does not fail for want of the hypervisor, and a running machine is no harm.",
            ),
        ),
    )
)  # fmt: skip
