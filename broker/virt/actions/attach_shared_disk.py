"""Give a machine a disk that others may have, too, also while it runs."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.virt import pending, shared_disks
from broker.virt.asking import require_idle, require_usable
from broker.virt.disk_rules import free_target, require_kept, require_reachable
from broker.virt.models import DiskShare, FloatingDisk, VirtualMachine
from broker.virt.storage_rules import require_usable as require_usable_storage


@transaction.atomic
def attach_shared_disk(
    *, actor: Actor, disk: FloatingDisk, vm: VirtualMachine, read_only: bool = False, now: bool = True
) -> DiskShare:
    """Returns what the machine has of it. One that is off has it at once; into one that runs a job plugs it (`now`), or
    its next start. Nobody pays for it but its owner. Raises Missing, Denied, Invalid, Conflict or Busy.
    """
    require(actor, "disk.manage", disk)
    require(actor, "vm.edit", vm)
    # the machine first, as everywhere
    vm = VirtualMachine.objects.select_for_update().get(pk=vm.pk)
    disk = FloatingDisk.objects.select_for_update().get(pk=disk.pk)
    require_idle(disk)
    require_usable(vm)
    require_kept(vm)
    shared_disks.require_shared(disk)
    shared_disks.require_not_had(disk, vm)
    require_reachable(vm, disk.storage)
    require_usable_storage(disk.storage)
    off = pending.is_off(vm)
    if off:
        require_idle(vm)
    share = DiskShare(vm=vm, disk=disk, target=free_target(vm), read_only=bool(read_only), plugged=off)
    share.save(force_insert=True)
    record(
        "vm.disk.share.asked", actor=actor, subject=vm, disk=disk.name, name=vm.name,
        message=N_("%(name)s gets the shared disk %(disk)s"),
    )  # fmt: skip
    publish("vm", vm.pk, "changed")
    publish("disk", disk.pk, "changed")
    if not off:
        pending.keep_part(share, {"plug": True}, actor=actor)
        if now and vm.power_state in pending.UP:
            enqueue("vm.change", actor=actor, subject=vm)
    return share
