"""Back a machine up, whole or what changed since its last backup on the same target."""

from typing import Any
from uuid import uuid4

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.backups import hardware, places
from broker.backups.models import Backup, BackupSchedule, BackupTarget
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt.asking import require_usable
from broker.virt.disk_rules import require_no_preview
from broker.virt.models import VirtualMachine
from broker.virt.storage_rules import require_usable as require_usable_storage


@transaction.atomic
def back_up(
    *,
    actor: Actor,
    vm: VirtualMachine,
    target: BackupTarget,
    full: bool = False,
    schedule: BackupSchedule | None = None,
) -> Job:
    """Enqueue it; returns the job, whose `args["backup"]` is the backup's id.

    Without `full` it holds what changed since the machine's last backup there, where that is known; else it is a full
    one and says why. Raises Missing, Denied, Invalid, Conflict or Busy.
    """
    require(actor, "vm.backup", vm)
    require_usable(vm)
    require_no_preview(vm)
    if target.cluster_id != vm.cluster_id:
        raise Invalid(
            N_("%(name)s belongs to another cluster."), field="target",
            fix=N_("Choose a target of the machine's cluster."), name=target.name,
        )  # fmt: skip
    only = places.bound_to(target)
    if vm.host is None or (only is not None and only.pk != vm.host_id):
        raise Conflict(
            N_("The host of %(name)s cannot reach %(target)s."), rule="backup.reachable",
            fix=N_("Choose a target that the machine's host sees."), name=vm.name, target=target.name,
        )  # fmt: skip
    if target.storage is not None:
        require_usable_storage(target.storage)
    if not vm.disks.exists():
        raise Conflict(
            N_("%(name)s has no disks."), rule="backup.disks", fix=N_("There is nothing to back up."), name=vm.name
        )  # fmt: skip
    backup = Backup(
        id=uuid4(), target=target, schedule=schedule, vm=vm, vm_key=vm.pk, vm_name=vm.name, hardware=hardware.of(vm)
    )
    backup.save(force_insert=True)
    record(
        "backup.asked", actor=actor, subject=vm, message=N_("A backup of %(name)s to %(target)s was asked for"),
        name=vm.name, target=target.name,
    )  # fmt: skip
    publish("backup", backup.pk, "created")
    args: dict[str, Any] = {"backup": str(backup.pk), "full": bool(full)}
    return enqueue("backup.make", actor=actor, subject=vm, args=args)
