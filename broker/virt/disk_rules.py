"""What the actions on disks and snapshots ask before they begin."""

from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_

from . import names
from .asking import require_power, require_usable
from .driver import PowerState
from .models import Disk, Preview, StorageDomain, VirtualMachine
from .states import VmState
from .storage_rules import require_files

MOST_DISKS = 16
LEAST_SIZE, LARGEST_SIZE = 1 << 20, 64 << 40  # bytes
# Not suspended: memory saved on disk must find the disks as it left them.
SETTLED = (PowerState.OFF, PowerState.CRASHED, PowerState.RUNNING, PowerState.PAUSED)


def checked_size(value: int, *, field: str = "size_bytes") -> int:
    """A disk's size, rounded up to whole MiB."""
    size = names.number(value, field=field, least=LEAST_SIZE, most=LARGEST_SIZE)
    return -(-size // LEAST_SIZE) * LEAST_SIZE


def require_kept(vm: VirtualMachine) -> None:
    """Raise Conflict when the disks may be thrown away: of a desktop given back, or of a preview that is undone."""
    require_no_preview(vm)
    if VirtualMachine.objects.filter(pk=vm.pk, desktop__pool__stateful=False).exists():
        raise Conflict(
            N_("%(name)s is a desktop that gets fresh disks when it is given back."), rule="disk.kept",
            fix=N_("Change the template of its pool instead."), name=vm.name,
        )  # fmt: skip


def require_keepable(vm: VirtualMachine) -> None:
    """Raise Conflict when the machine's disks could not live on without it. Whether an image lies on a template's only
    its host can tell, but for one that was never written anew.
    """
    if vm.state != VmState.BROKEN:  # of a broken one they may be all there is to save
        require_usable(vm)
    require_kept(vm)
    require_no_snapshots(vm)
    for disk in vm.disks.select_related("storage"):
        require_files(disk.storage)
    first = vm.disks.first()
    if first is not None and vm.linked and first.generation == 0:
        raise leaning(vm, first.target)


def leaning(vm: VirtualMachine, target: str) -> Conflict:
    """A disk that is to be kept is of use only with another image."""
    return Conflict(
        N_("The disk %(target)s of %(name)s lies on its template's image."), rule="disk.whole",
        fix=N_("Move the disk to another storage, or anew to its own while the machine is off: it is whole then."),
        target=target, name=vm.name,
    )  # fmt: skip


def require_pluggable(vm: VirtualMachine) -> None:
    """Raise Conflict unless a disk can come or go as the machine is now: one on SATA does while it is off."""
    require_power(vm, SETTLED)
    if vm.options.get("disk_bus") == "sata" and vm.power_state in (PowerState.RUNNING, PowerState.PAUSED):
        raise Conflict(
            N_("The disks of %(name)s are SATA disks: none comes or goes while it runs."), rule="disk.bus",
            fix=N_("Shut it down first, or choose virtio or SCSI for its disks."), name=vm.name,
        )  # fmt: skip


def require_no_preview(vm: VirtualMachine) -> None:
    """Raise Conflict for a machine that tries out a snapshot."""
    if Preview.objects.filter(vm=vm).exists():
        raise Conflict(
            N_("%(name)s looks at a snapshot."), rule="snapshot.preview",
            fix=N_("Keep the state it is in, or go back to the one before."), name=vm.name,
        )  # fmt: skip


def require_unfrozen(disk: Disk) -> None:
    """Raise Conflict for a disk that snapshots hold."""
    names = [str(name) for name in disk.frozen.values_list("snapshot__name", flat=True)[:5]]
    if names:
        raise Conflict(
            N_("The disk %(target)s is held by snapshots: %(names)s."), rule="disk.unfrozen",
            fix=N_("Delete those snapshots first."), target=disk.target, names=", ".join(names),
        )  # fmt: skip


def require_no_snapshots(vm: VirtualMachine) -> None:
    """Raise Conflict for a machine with snapshots."""
    if vm.snapshots.exists():
        raise Conflict(
            N_("%(name)s has snapshots."), rule="snapshot.none", fix=N_("Delete them first."), name=vm.name,
        )  # fmt: skip


def most_taken(vm: VirtualMachine, disk: Disk) -> int:
    """The most that the moved disk takes: what its own images hold, and the template's below it."""
    below = vm.template_version.size_bytes if vm.template_version else 0
    return min(disk.allocated_bytes + below, disk.size_bytes)


def free_target(vm: VirtualMachine) -> str:
    """The name in the guest of one more disk; raises Conflict when it has as many as it may."""
    taken = {*vm.disks.values_list("target", flat=True), *vm.disk_shares.values_list("target", flat=True)}
    free = [target for number in range(MOST_DISKS) if (target := f"vd{chr(ord('a') + number)}") not in taken]
    if not free:
        raise Conflict(
            N_("%(name)s has %(most)s disks already."), rule="disk.most", fix=N_("Delete one, or grow one."),
            name=vm.name, most=MOST_DISKS,
        )  # fmt: skip
    return free[0]


def require_reachable(vm: VirtualMachine, storage: StorageDomain) -> None:
    """Raise Invalid unless the machine's host sees the storage."""
    if storage.cluster_id != vm.cluster_id or storage.host_id not in (None, vm.host_id):
        raise Invalid(
            N_("The machine's host does not see %(name)s."), field="storage",
            fix=N_("Choose a storage of its host, or one that the whole cluster shares."), name=storage.name,
        )  # fmt: skip


def require_detachable(vm: VirtualMachine, disk: Disk) -> None:
    """Raise Conflict for the disk that the machine starts from, and for one that snapshots hold."""
    require_unfrozen(disk)
    if disk == vm.disks.first():
        raise Conflict(
            N_("%(name)s starts from this disk."), rule="disk.first",
            fix=N_("Delete the machine, or another of its disks."), name=vm.name,
        )  # fmt: skip
