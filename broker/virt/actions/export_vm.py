"""Make an OVA of a machine, to be downloaded: of one that is off, or with its disks as a snapshot holds them."""

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
from broker.virt import exports, ova
from broker.virt.cloning import originals
from broker.virt.export_wishes import plain_name, require_few, require_still
from broker.virt.models import DiskExport, Snapshot, VirtualMachine


@transaction.atomic
def export_vm(*, actor: Actor, vm: VirtualMachine, snapshot: Snapshot | None = None) -> Job:
    """Enqueue it; the job's args name the `export`, an OVA of the machine's own disks and its present hardware.

    Without a `snapshot` the machine has to be off, as with export_disk. Disks that it shares with others are not its
    own. Raises Missing, Denied, Invalid, Conflict or Busy.
    """
    require(actor, "vm.backup", vm)
    require_still(vm, snapshot)
    count = len(originals(vm, snapshot)) if vm.host_id else 0
    if not 0 < count <= ova.MOST_DISKS:
        raise Conflict(
            N_("%(name)s has %(count)s disks; an OVA has one to %(most)s."), rule="export.disks",
            fix=N_("Download its disks one by one."), name=vm.name, count=count, most=ova.MOST_DISKS,
        )  # fmt: skip
    require_few(vm)
    name = plain_name(vm.name, *([snapshot.name] if snapshot else []), most=80)
    export = DiskExport(id=uuid4(), vm=vm, name=f"{name}.ova", maker=actor.user)
    export.save(force_insert=True)
    record("vm.export.asked", actor=actor, subject=vm, message=N_("An OVA of %(name)s was asked for"), name=vm.name)
    publish("vm", vm.pk, "asked")
    args = {"export": str(export.pk), "name": name, "snapshot": str(snapshot.pk) if snapshot else ""}
    return enqueue(exports.OVA_PLAN, actor=actor, subject=vm, args=args)
