"""Remove a schedule; the backups it made stay until somebody deletes them."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.backups.models import BackupSchedule
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record


@transaction.atomic
def delete_schedule(*, actor: Actor, schedule: BackupSchedule) -> None:
    """Raises Missing or Denied."""
    require(actor, "backup.manage", schedule.target.cluster)
    pk = schedule.pk
    record("backup-schedule.deleted", actor=actor, subject=schedule, name=schedule.name,
           message=N_("The backup schedule %(name)s was removed"))  # fmt: skip
    schedule.delete()
    publish("backup-schedule", pk, "deleted")
