"""Make a file of a disk, to be downloaded: of a machine that is off, or as a snapshot holds it."""

from uuid import uuid4

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import exports
from broker.virt.cloning import originals
from broker.virt.export_wishes import plain_name, require_few, require_still
from broker.virt.models import Disk, DiskExport, Snapshot


@transaction.atomic
def export_disk(*, actor: Actor, disk: Disk, snapshot: Snapshot | None = None) -> Job:
    """Enqueue it; the job's args name the `export`, a qcow2 file that needs no other.

    Without a `snapshot` the machine has to be off: what a running guest has of its disk is in its memory, too, and
    a copy taken meanwhile would be of no one moment. Raises Missing, Denied, Invalid, Conflict or Busy.
    """
    vm = disk.vm
    require(actor, "vm.backup", vm)
    require_still(vm, snapshot)
    if vm.host_id is None or disk.pk not in {one.disk.pk for one in originals(vm, snapshot)}:
        raise Conflict(
            N_("There is no such disk to be downloaded."), rule="disk.present",
            fix=N_("Choose a disk that the machine or its snapshot has."), name=vm.name,
        )  # fmt: skip
    require_few(vm)
    name = plain_name(vm.name, disk.target, *([snapshot.name] if snapshot else []))
    export = DiskExport(id=uuid4(), vm=vm, name=f"{name}.qcow2", maker=actor.user)
    export.save(force_insert=True)
    record(
        "vm.export.asked", actor=actor, subject=vm,
        message=N_("A file of the disk %(target)s of %(name)s was asked for"), target=disk.target, name=vm.name,
    )  # fmt: skip
    publish("vm", vm.pk, "asked")
    args = {"export": str(export.pk), "disk": str(disk.pk), "snapshot": str(snapshot.pk) if snapshot else ""}
    return enqueue(exports.PLAN, actor=actor, subject=vm, args=args)
