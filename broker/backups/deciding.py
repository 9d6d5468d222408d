"""Whether a backup is a full one or holds only what changed; every full one that was not asked for says why."""

from dataclasses import dataclass

from broker.core.text import gettext_noop as N_
from broker.virt.driver import HostConnection, NotFound, PowerState
from broker.virt.models import VirtualMachine

from .models import Backup
from .states import BackupState

OFF = N_("The machine was off: it was copied whole.")
FIRST = N_("It is the first on this target.")
UNKNOWN = N_("The hypervisor does not know what changed since the last backup.")
OTHER_DISKS = N_("The machine has other disks than at its last backup.")
RAW = N_("One of its disks is raw, and bears no notes of what changed.")
_UP = (PowerState.RUNNING, PowerState.PAUSED)


@dataclass(frozen=True, slots=True)
class Decision:
    """`live`: the hypervisor copies a running machine. `parent`: what it builds on, None for a full one."""

    live: bool
    parent: Backup | None = None
    reason: str = ""


def decide(backup: Backup, vm: VirtualMachine, host: HostConnection, *, wish_full: bool) -> Decision:
    """What can be done now. The rows of earlier backups and the host's checkpoints must agree."""
    if host.observe_one(str(vm.pk)).power not in _UP:
        return Decision(False, reason="" if wish_full else OFF)
    if wish_full:
        return Decision(True)
    if any(disk.format == "raw" for disk in vm.disks.all()):
        return Decision(True, reason=RAW)
    known = set(host.checkpoints(str(vm.pk)))
    earlier = Backup.objects.filter(vm_key=vm.pk, target=backup.target_id, state=BackupState.READY)
    parent = earlier.exclude(checkpoint="").order_by("-created_at").first()
    if parent is None:
        return Decision(True, reason=FIRST)
    if set(parent.disks.values_list("target", "source")) != {(disk.target, disk.volume) for disk in vm.disks.all()}:
        return Decision(True, reason=OTHER_DISKS)
    if parent.checkpoint not in known:
        return Decision(True, reason=UNKNOWN)
    return Decision(True, parent)


def ours(host: HostConnection, vm: VirtualMachine) -> tuple[str, ...]:
    """The machine's checkpoints that Berth made; another backup program's stay."""
    try:
        return tuple(name for name in host.checkpoints(str(vm.pk)) if name.startswith("berth-"))
    except NotFound:
        return ()
