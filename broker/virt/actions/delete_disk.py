"""Take a disk out of a machine and delete it, also while it runs."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import wiping
from broker.virt.asking import require_unprotected, require_usable
from broker.virt.disk_rules import require_detachable, require_kept, require_pluggable
from broker.virt.models import Disk


@transaction.atomic
def delete_disk(*, actor: Actor, disk: Disk) -> Job:
    """Enqueue it; a running guest is asked to let the disk go. Raises Missing, Denied, Conflict or Busy."""
    vm = disk.vm
    require(actor, "vm.edit", vm)
    require_unprotected(vm)
    require_usable(vm)
    require_pluggable(vm)
    require_kept(vm)
    require_detachable(vm, disk)
    record(
        "vm.disk.delete.asked", actor=actor, subject=vm,
        message=N_("Deletion of the disk %(target)s of %(name)s was asked for"), target=disk.target, name=vm.name,
    )  # fmt: skip
    publish("vm", vm.pk, "asked")
    args = {
        "disk": str(disk.pk), "target": disk.target, "storage": str(disk.storage_id), "volume": disk.volume,
        "wipe": wiping.of_row(disk),
    }  # fmt: skip
    return enqueue("vm.delete-disk", actor=actor, subject=vm, args=args)
