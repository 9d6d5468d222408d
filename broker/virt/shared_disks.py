"""Disks that several machines have at once: what a machine may have of one, and what has to be free of it."""

from typing import Any

from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_

from .models import DiskShare, FloatingDisk, VirtualMachine
from .usage import refuse_if_used


def require_unused(disk: FloatingDisk) -> None:
    """Raise Conflict, naming them, while machines have it."""
    refuse_if_used(disk)


def require_shared(disk: FloatingDisk) -> None:
    if not disk.shared:
        raise Conflict(
            N_("%(name)s is a disk for one machine."), rule="disk.shared",
            fix=N_("Attach it to that one; or share it first, so that several can have it."), name=disk.name,
        )  # fmt: skip


def require_own(disk: FloatingDisk) -> None:
    """Raise Conflict for a shared disk: no machine gets it for its own."""
    if disk.shared:
        raise Conflict(
            N_("%(name)s is shared."), rule="disk.own",
            fix=N_("Attach it as a shared disk; or make it one for a single machine first."), name=disk.name,
        )  # fmt: skip


def require_not_had(disk: FloatingDisk, vm: VirtualMachine) -> None:
    if DiskShare.objects.filter(disk=disk, vm=vm).exists():
        raise Conflict(
            N_("%(machine)s has the disk %(name)s already."), rule="disk.once",
            fix=N_("Take it away first, to have it otherwise."), machine=vm.name, name=disk.name,
        )  # fmt: skip


def require_all_its_own(vm: VirtualMachine) -> None:
    """Raise Conflict for a machine with disks that a memory kept for later would not find as it left them."""
    shared: list[Any] = [*vm.disk_shares.values_list("target", flat=True)]
    fixed = [*vm.disks.filter(read_only=True).values_list("target", flat=True)]
    if shared or fixed:
        raise Conflict(
            N_("The memory of %(name)s cannot be kept: no snapshot holds its disks %(targets)s."), rule="disk.held",
            fix=N_("Take a snapshot without memory; shared and read-only disks are left out of it."),
            name=vm.name, targets=", ".join(sorted([*shared, *fixed])),
        )  # fmt: skip
