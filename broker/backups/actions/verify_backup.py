"""Have a backup's files read and compared with what was written, and restored into a scratch image."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.backups.models import Backup
from broker.backups.states import BACKUP
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job


@transaction.atomic
def verify_backup(*, actor: Actor, backup: Backup) -> Job:
    """Enqueue it. Raises Missing, Denied, Conflict or Busy."""
    require(actor, "backup.manage", backup)
    if not BACKUP.is_(backup.state, "checkable"):
        raise Conflict(
            N_("The backup is %(state)s."), rule="backup.state", fix=N_("Wait until that is done."), state=backup.state
        )
    record("backup.verify.asked", actor=actor, subject=backup, name=str(backup),
           message=N_("A check of the backup %(name)s was asked for"))  # fmt: skip
    return enqueue("backup.verify", actor=actor, subject=backup)
