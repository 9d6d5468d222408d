"""Have a disk of no machine shared by several, or by none any more: its image is written anew, raw or as qcow2."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import shared_disks
from broker.virt.models import FloatingDisk
from broker.virt.storage_rules import require_files, require_room
from broker.virt.storage_rules import require_usable as require_usable_storage


@transaction.atomic
def share_disk(*, actor: Actor, disk: FloatingDisk, shared: bool = True) -> Job:
    """Enqueue it. `shared`: False makes it a disk for one machine again. Raises Missing, Denied, Conflict or Busy."""
    require(actor, "disk.manage", disk)
    disk = FloatingDisk.objects.select_for_update().select_related("storage").get(pk=disk.pk)
    if disk.shared == shared:
        raise Conflict(
            N_("%(name)s is shared already.") if shared else N_("%(name)s is not shared."), rule="disk.shared",
            fix=N_("Attach it to machines.") if shared else N_("Share it first."), name=disk.name,
        )  # fmt: skip
    shared_disks.require_unused(disk)
    require_usable_storage(disk.storage)
    require_files(disk.storage)
    require_room(disk.storage, disk.size_bytes if shared else disk.allocated_bytes)
    new = disk.volume_name(disk.generation + 1, shared=shared)
    record(
        "disk.share.asked", actor=actor, subject=disk, name=disk.name,
        message=N_("Sharing the disk %(name)s was asked for") if shared
        else N_("It was asked for that the disk %(name)s is shared no more"),
    )  # fmt: skip
    publish("disk", disk.pk, "asked")
    args = {
        "shared": bool(shared), "old": disk.volume, "new": new, "generation": disk.generation + 1,
        "storage": str(disk.storage_id),
    }  # fmt: skip
    return enqueue("disk.share", actor=actor, subject=disk, args=args)
