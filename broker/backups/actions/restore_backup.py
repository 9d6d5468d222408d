"""Give a machine its disks, or one of them, as they were in a backup."""

from collections.abc import Collection
from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.backups import places
from broker.backups.models import Backup, BackupDisk
from broker.backups.use import require_restorable
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import quotas
from broker.virt.asking import require_usable
from broker.virt.disk_rules import require_no_snapshots
from broker.virt.models import Disk, VirtualMachine


@transaction.atomic
def restore_backup(
    *, actor: Actor, backup: Backup, vm: VirtualMachine, disks: Collection[str] = (), start: bool = False
) -> Job:
    """Enqueue it. What is on the disks now is lost; a running machine is powered off.

    `disks`: guest targets ("vda") to restore, all by default. Raises Missing, Denied, Invalid, Conflict, OverQuota or
    Busy.
    """
    require(actor, "vm.edit", vm)
    require(actor, "backup.restore", backup)
    backup = require_restorable(backup)
    require_usable(vm)
    require_no_snapshots(vm)
    if backup.vm_key != vm.pk:
        raise Conflict(
            N_("This is no backup of %(name)s."), rule="backup.machine",
            fix=N_("Restore it as a new machine instead."), name=vm.name,
        )  # fmt: skip
    only = places.bound_to(backup.target)
    if vm.host is None or (only is not None and only.pk != vm.host_id):
        raise Conflict(
            N_("The host of %(name)s cannot reach %(target)s."), rule="backup.reachable",
            fix=N_("Move the machine to a host that sees the target."), name=vm.name, target=backup.target.name,
        )  # fmt: skip
    swap = _swap(vm, backup, set(disks))
    quotas.claim_disks(actor, vm, more_bytes=sum(one["size"] - one["was_size"] for one in swap), start=start)
    version = None if vm.template_version_id is None else str(vm.template_version_id)
    args = {
        "backup": str(backup.pk), "swap": swap, "version": version, "was_version": version, "start": bool(start),
    }  # fmt: skip
    record(
        "backup.restore.asked", actor=actor, subject=vm, name=vm.name, backup=str(backup),
        message=N_("%(name)s is to be restored from the backup %(backup)s"),
    )  # fmt: skip
    publish("vm", vm.pk, "asked")
    return enqueue("backup.restore", actor=actor, subject=vm, args=args)


def _swap(vm: VirtualMachine, backup: Backup, wanted: set[str]) -> list[dict[str, Any]]:
    present = {disk.target: disk for disk in vm.disks.all()}
    files = {disk.target: disk for disk in backup.disks.all()}
    chosen = wanted or set(files)
    if missing := sorted(chosen - set(present) | chosen - set(files)):
        raise Invalid(
            N_("Not both the machine and the backup have a disk %(disk)s."), field="disks",
            fix=N_("Choose disks that both have, or restore it as a new machine."), disk=missing[0][:16],
        )  # fmt: skip
    return [_one(present[target], files[target]) for target in sorted(chosen)]


def _one(disk: Disk, file: BackupDisk) -> dict[str, Any]:
    return {
        "disk": str(disk.pk), "storage": str(disk.storage_id), "file": str(file.pk), "old": disk.volume,
        "new": disk.volume_name(disk.generation + 1), "generation": disk.generation, "size": file.capacity_bytes,
        "was_size": disk.size_bytes,
    }  # fmt: skip
