"""Give a machine a disk that belongs to none, also while it runs."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import quotas, specs
from broker.virt.asking import require_idle, require_usable
from broker.virt.disk_rules import free_target, require_kept, require_pluggable, require_reachable
from broker.virt.models import Disk, FloatingDisk, VirtualMachine
from broker.virt.shared_disks import require_own
from broker.virt.storage_rules import require_usable as require_usable_storage


@transaction.atomic
def attach_disk(*, actor: Actor, disk: FloatingDisk, vm: VirtualMachine) -> Job:
    """Enqueue it; the job's subject is the machine. It keeps its id. Who owns the machine pays for it from then on.

    Raises Missing, Denied, Invalid (its host does not see the storage), Conflict, OverQuota or Busy.
    """
    require(actor, "disk.manage", disk)
    require(actor, "vm.edit", vm)
    disk = FloatingDisk.objects.select_for_update().get(pk=disk.pk)
    require_idle(disk)
    require_own(disk)
    require_reachable(vm, disk.storage)
    require_usable_storage(disk.storage)
    require_usable(vm)
    require_pluggable(vm)
    require_kept(vm)
    quotas.claim_disk_of(
        actor, vm.owner_id, vm.cluster_id, size=disk.size_bytes, subject=vm, before=disk.owner_id
    )  # fmt: skip
    last = vm.disks.last()
    row = Disk(
        pk=disk.pk, vm=vm, storage=disk.storage, target=free_target(vm), order=last.order + 1 if last else 0,
        generation=disk.generation, volume=disk.volume, path=specs.volume_path(disk.storage, disk.volume),
        size_bytes=disk.size_bytes, allocated_bytes=disk.allocated_bytes,
        wipe_after_delete=disk.wipe_after_delete,
    )  # fmt: skip
    row.save(force_insert=True)
    args = {"disk": str(row.pk), "floating": {"name": disk.name, "owner": str(disk.owner_id or "")}}
    record(
        "vm.disk.attach.asked", actor=actor, subject=vm, message=N_("The disk %(disk)s for %(name)s was asked for"),
        disk=disk.name, name=vm.name,
    )  # fmt: skip
    FloatingDisk.objects.filter(pk=disk.pk).delete()
    publish("vm", vm.pk, "asked")
    publish("disk", row.pk, "deleted")
    return enqueue("vm.create-disk", actor=actor, subject=vm, args=args)
