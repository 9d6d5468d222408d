"""Write a disk's image anew in the other format, also while its machine runs."""

from typing import cast, get_args

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import names
from broker.virt.actions.move_disks import MOST_MIB
from broker.virt.asking import require_power, require_usable
from broker.virt.disk_rules import SETTLED, most_taken, require_kept, require_unfrozen
from broker.virt.models import Disk
from broker.virt.models.disk import Format
from broker.virt.plans.vm_move_disks import entry_of
from broker.virt.storage_rules import require_room
from broker.virt.storage_rules import require_usable as require_usable_storage

FORMATS = get_args(Format)


@transaction.atomic
def convert_disk(*, actor: Actor, disk: Disk, image_format: str, bandwidth_mib: int = 0) -> Job:
    """Enqueue it. `image_format`: "qcow2" or "raw"; `bandwidth_mib`: while it runs, at most so much a second, 0: any.

    It is whole of itself afterwards. Raises Missing, Denied, Invalid, Conflict or Busy.
    """
    vm = disk.vm
    require(actor, "vm.edit", vm)
    if image_format not in FORMATS:
        raise Invalid(
            N_("There is no such choice."), field="image_format", fix=N_("Use one of: %(known)s."),
            known=", ".join(FORMATS),
        )  # fmt: skip
    bandwidth = names.number(bandwidth_mib, field="bandwidth_mib", least=0, most=MOST_MIB)
    require_usable(vm)
    require_power(vm, SETTLED)
    require_kept(vm)
    if disk.format == image_format:
        raise Conflict(
            N_("The disk %(target)s is %(format)s already."), rule="disk.format",
            fix=N_("To give zeroes back, move it to the storage that it is on, while its machine is off."),
            target=disk.target, format=image_format,
        )  # fmt: skip
    require_unfrozen(disk)
    require_usable_storage(disk.storage)
    require_room(disk.storage, disk.size_bytes if image_format == "raw" else most_taken(vm, disk))
    record(
        "vm.disk.convert.asked", actor=actor, subject=vm,
        message=N_("A conversion of %(target)s of %(name)s to %(format)s was asked for"), target=disk.target,
        name=vm.name, format=image_format,
    )  # fmt: skip
    publish("vm", vm.pk, "asked")
    args = {
        "moves": [entry_of(disk, disk.storage, cast(Format, image_format))], "bandwidth": bandwidth << 20,
        "storage": disk.storage.name, "converted": image_format,
    }  # fmt: skip
    return enqueue("vm.move-disks", actor=actor, subject=vm, args=args)
