"""Delete a disk that belongs to no machine."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt.models import FloatingDisk
from broker.virt.shared_disks import require_unused


@transaction.atomic
def delete_floating_disk(*, actor: Actor, disk: FloatingDisk) -> Job:
    """Enqueue it. Raises Missing, Denied, Conflict (machines share it) or Busy."""
    require(actor, "disk.manage", disk)
    require_unused(disk)
    record(
        "disk.delete.asked", actor=actor, subject=disk, message=N_("Deletion of the disk %(name)s was asked for"),
        name=disk.name,
    )  # fmt: skip
    publish("disk", disk.pk, "asked")
    args = {"storage": str(disk.storage_id), "volume": disk.volume, "name": disk.name}
    return enqueue("disk.delete", actor=actor, subject=disk, args=args)
