"""Give a machine one more blank disk, also while it runs."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import quotas
from broker.virt.asking import require_usable
from broker.virt.disk_rules import checked_size, free_target, require_kept, require_pluggable, require_reachable
from broker.virt.models import Disk, StorageDomain, VirtualMachine
from broker.virt.models.disk import Wipe
from broker.virt.storage_rules import require_usable as require_usable_storage


@transaction.atomic
def create_disk(
    *,
    actor: Actor,
    vm: VirtualMachine,
    size_bytes: int,
    storage: StorageDomain | None = None,
    wipe_after_delete: str = Wipe.STORAGE,
) -> Job:
    """Enqueue it; the job's subject is the machine, its args name the disk.

    `storage`: where its first disk is when None. `wipe_after_delete`: whether it is overwritten when it goes.
    Raises Missing, Denied, Invalid, Conflict, OverQuota or Busy.
    """
    require(actor, "vm.edit", vm)
    size = checked_size(size_bytes)
    if wipe_after_delete not in Wipe.values:
        raise Invalid(
            N_("There is no such choice."), field="wipe_after_delete", fix=N_("Use one of: %(known)s."),
            known=", ".join(Wipe.values),
        )  # fmt: skip
    present = list(vm.disks.select_related("storage"))
    if storage is None and present:
        storage = present[0].storage
    if storage is None:
        raise Invalid(N_("Say on which storage."), field="storage", fix=N_("Choose one of the machine's cluster."))
    require(actor, "storage.view", storage)
    require_reachable(vm, storage)
    require_usable_storage(storage, luns=True)
    require_usable(vm)
    require_pluggable(vm)
    require_kept(vm)
    quotas.claim_disks(actor, vm, more_bytes=size)
    disk = Disk(vm=vm, storage=storage, target=free_target(vm), size_bytes=size)
    disk.wipe_after_delete = wipe_after_delete
    disk.order = max((one.order for one in present), default=-1) + 1
    disk.volume = disk.volume_name(0)
    disk.save(force_insert=True)
    record(
        "vm.disk.create.asked", actor=actor, subject=vm,
        message=N_("A disk %(target)s of %(size)s bytes for %(name)s was asked for"),
        target=disk.target, size=size, name=vm.name,
    )  # fmt: skip
    publish("vm", vm.pk, "asked")
    return enqueue("vm.create-disk", actor=actor, subject=vm, args={"disk": str(disk.pk)})
