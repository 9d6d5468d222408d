"""Take a disk out of a machine and keep it, also while it runs."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import names, quotas
from broker.virt.asking import require_unprotected, require_usable
from broker.virt.disk_rules import require_detachable, require_kept, require_pluggable
from broker.virt.models import Disk
from broker.virt.storage_rules import require_files


@transaction.atomic
def detach_disk(*, actor: Actor, disk: Disk, name: str = "") -> Job:
    """Enqueue it; a running guest is asked to let the disk go. It belongs to the actor then, and keeps its id.

    `name`: what it is called then. Raises Missing, Denied, Invalid, Conflict, OverQuota or Busy.
    """
    vm = disk.vm
    require(actor, "vm.edit", vm)
    name = names.title(name, field="name") or f"{vm.name} {disk.target}"
    require_unprotected(vm)
    require_usable(vm)
    require_pluggable(vm)
    require_kept(vm)
    require_detachable(vm, disk)
    require_files(disk.storage)
    quotas.claim_disk_of(
        actor, actor.user_id, vm.cluster_id, size=disk.size_bytes, subject=vm, before=vm.owner_id
    )  # fmt: skip
    record(
        "vm.disk.detach.asked", actor=actor, subject=vm,
        message=N_("Taking the disk %(target)s out of %(name)s was asked for"), target=disk.target, name=vm.name,
    )  # fmt: skip
    publish("vm", vm.pk, "asked")
    args = {
        "disk": str(disk.pk), "target": disk.target, "storage": str(disk.storage_id), "volume": disk.volume,
        "floating": {"name": name, "owner": str(actor.user_id or "")},
    }  # fmt: skip
    return enqueue("vm.delete-disk", actor=actor, subject=vm, args=args)
