"""Change when machines are backed up, which, and how long their backups are kept."""

from collections.abc import Collection
from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.backups import rules
from broker.backups.models import BackupSchedule
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names, rows
from broker.virt.models import VirtualMachine


@transaction.atomic
def edit_schedule(
    *,
    actor: Actor,
    schedule: BackupSchedule,
    name: str | None = None,
    vms: Collection[VirtualMachine] | None = None,
    **wishes: Any,
) -> BackupSchedule:
    """What is not given stays as it is. Raises Missing, Denied, Invalid or Conflict (name taken)."""
    require(actor, "backup.manage", schedule.target.cluster)
    values = rules.checked(wishes)
    if name is not None:
        values["name"] = names.name(name)
    for vm in vms or ():
        require(actor, "vm.backup", vm)
        rules.same_cluster(vm, schedule.target)
    rows.change(schedule, values)
    BackupSchedule.objects.filter(pk=schedule.pk).update(next_run_at=rules.due(schedule))
    if vms is not None:
        schedule.vms.set(vms)
    record("backup-schedule.edited", actor=actor, subject=schedule, name=schedule.name,
           message=N_("The backup schedule %(name)s was changed"))  # fmt: skip
    publish("backup-schedule", schedule.pk, "changed")
    return schedule
