"""Delete a backup that no other one builds on."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.backups.models import Backup
from broker.backups.states import BACKUP
from broker.backups.use import require_unused
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job


@transaction.atomic
def delete_backup(*, actor: Actor, backup: Backup) -> Job:
    """Enqueue it. Raises Missing, Denied, Conflict (later ones build on it, or it is being read) or Busy."""
    require(actor, "backup.manage", backup)
    backup = Backup.objects.select_for_update().get(pk=backup.pk)
    later = backup.children.count()
    if later:
        raise Conflict(
            N_("%(count)s later backups build on this one."), rule="backup.chain",
            fix=N_("Delete those first, the newest before the others."), count=later,
        )  # fmt: skip
    require_unused(backup)
    if not BACKUP.is_(backup.state, "deletable"):
        raise Conflict(
            N_("The backup is %(state)s."), rule="backup.state", fix=N_("Wait until that is done."), state=backup.state
        )
    BACKUP.move(backup, "delete")
    record("backup.delete.asked", actor=actor, subject=backup, message=N_("Deletion of the backup %(name)s was asked"
           " for"), name=str(backup))  # fmt: skip
    publish("backup", backup.pk, "changed")
    return enqueue("backup.delete", actor=actor, subject=backup)
