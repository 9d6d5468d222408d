"""Have machines backed up at certain times, and old backups removed."""

from collections.abc import Collection
from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.backups import rules
from broker.backups.models import BackupSchedule, BackupTarget
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names, rows
from broker.virt.models import VirtualMachine


@transaction.atomic
def create_schedule(
    *, actor: Actor, target: BackupTarget, name: str, vms: Collection[VirtualMachine] = (), **wishes: Any
) -> BackupSchedule:
    """`wishes` are those of broker.backups.rules. Raises Missing, Denied, Invalid or Conflict (name taken)."""
    require(actor, "backup.manage", target.cluster)
    values = rules.checked({**rules.DEFAULTS, **wishes})
    for vm in vms:
        require(actor, "vm.backup", vm)
        rules.same_cluster(vm, target)
    schedule = BackupSchedule(target=target, name=names.name(name), **values)
    schedule.next_run_at = rules.due(schedule)
    rows.insert(schedule)
    schedule.vms.set(vms)
    record("backup-schedule.created", actor=actor, subject=schedule, name=schedule.name,
           message=N_("The backup schedule %(name)s was made"))  # fmt: skip
    publish("backup-schedule", schedule.pk, "created")
    return schedule
