"""Make a disk larger, also while its machine runs."""

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
from broker.virt.asking import require_power, require_usable
from broker.virt.disk_rules import SETTLED, checked_size, require_kept
from broker.virt.models import Disk


@transaction.atomic
def grow_disk(*, actor: Actor, disk: Disk, size_bytes: int) -> Job:
    """Enqueue it. A disk never shrinks. Raises Missing, Denied, Invalid, Conflict, OverQuota or Busy."""
    vm = disk.vm
    require(actor, "vm.edit", vm)
    size = checked_size(size_bytes)
    if size <= disk.size_bytes:
        raise Invalid(
            N_("The disk has %(size)s bytes already."), field="size_bytes",
            fix=N_("Give a larger size: a disk cannot shrink."), size=disk.size_bytes,
        )  # fmt: skip
    require_usable(vm)
    require_power(vm, SETTLED)
    require_kept(vm)
    quotas.claim_disks(actor, vm, more_bytes=size - disk.size_bytes)
    record(
        "vm.disk.grow.asked", actor=actor, subject=vm,
        message=N_("Growth of the disk %(target)s of %(name)s to %(size)s bytes was asked for"),
        target=disk.target, name=vm.name, size=size,
    )  # fmt: skip
    publish("vm", vm.pk, "asked")
    return enqueue("vm.grow-disk", actor=actor, subject=vm, args={"disk": str(disk.pk), "size": size})
