"""Remove a backup target that holds nothing any more."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.backups.models import BackupTarget
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import rows


@transaction.atomic
def delete_target(*, actor: Actor, target: BackupTarget) -> None:
    """Raises Missing, Denied, or Conflict naming the backups and schedules that use it."""
    require(actor, "backup.manage", target.cluster)
    pk = target.pk
    rows.remove(target)
    record("backup-target.deleted", actor=actor, subject=target, message=N_("The backup target %(name)s was removed"),
           name=target.name)  # fmt: skip
    publish("backup-target", pk, "deleted")
