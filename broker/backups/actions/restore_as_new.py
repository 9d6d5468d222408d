"""Make a machine of a backup: with its name when that is free, or another."""

from uuid import uuid4

from django.db import transaction

from broker.access.actor import Actor
from broker.access.making import give_to_maker
from broker.access.require import require
from broker.backups import hardware, places
from broker.backups.models import Backup
from broker.backups.use import require_restorable
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import names, quotas, rows, specs
from broker.virt.models import Disk, StorageDomain
from broker.virt.storage_rules import require_usable


@transaction.atomic
def restore_as_new(*, actor: Actor, backup: Backup, storage: StorageDomain, name: str = "", start: bool = False) -> Job:
    """Write the machine's row and enqueue the rest; the job's `subject_id` is the machine's id.

    Raises Missing, Denied, Invalid, Conflict (the name is taken, the backup cannot be used) or OverQuota.
    """
    require(actor, "backup.restore", backup)
    cluster = backup.target.cluster
    require(actor, "vm.create", cluster)
    require(actor, "storage.view", storage)
    backup = require_restorable(backup)
    require_usable(storage, luns=True)
    if storage.cluster_id != cluster.pk:
        raise Invalid(
            N_("%(name)s belongs to another cluster."), field="storage",
            fix=N_("Choose one of the backup's cluster."), name=storage.name,
        )  # fmt: skip
    only = places.bound_to(backup.target)
    if only is not None and storage.host_id not in (None, only.pk):
        raise Invalid(
            N_("No host sees both %(storage)s and the backup."), field="storage",
            fix=N_("Choose storage on the host of the backup, or shared storage."), storage=storage.name,
        )  # fmt: skip
    vm = hardware.machine(backup, name=names.name(name or backup.vm_name), owner=actor.user)
    vm.host = only
    size = sum(backup.disks.values_list("capacity_bytes", flat=True))
    quotas.claim_creation(actor, vm, disk_bytes=size, start=start)
    rows.insert(vm)
    for file in backup.disks.all():
        disk = Disk(
            id=uuid4(), vm=vm, storage=storage, size_bytes=file.capacity_bytes, target=file.target, order=file.order
        )
        disk.volume = disk.volume_name(0)
        disk.path = specs.volume_path(storage, disk.volume)
        disk.save(force_insert=True)
    hardware.plug(vm, backup)
    give_to_maker(actor, "vm-manager", vm)
    record(
        "backup.restore.asked", actor=actor, subject=vm, name=vm.name, backup=str(backup),
        message=N_("%(name)s is to be made of the backup %(backup)s"),
    )  # fmt: skip
    publish("vm", vm.pk, "created")
    args = {"backup": str(backup.pk), "start": bool(start)}
    return enqueue("backup.restore-new", actor=actor, subject=vm, args=args)
