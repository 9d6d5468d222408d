"""Whether a backup may be read or removed now."""

from broker.core.errors import Busy, Conflict
from broker.core.text import gettext_noop as N_
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE

from . import places
from .models import Backup
from .states import BACKUP

_READERS = ("backup.make", "backup.restore", "backup.restore-new")


def require_restorable(backup: Backup) -> Backup:
    """The backup, locked against its deletion. Raises Conflict unless it and all it builds on are whole."""
    Backup.objects.select_for_update().get(pk=backup.pk)
    for one in places.chain(Backup.objects.select_related("target__storage", "target__cluster").get(pk=backup.pk)):
        if not BACKUP.is_(one.state, "usable"):
            raise Conflict(
                N_("The backup %(name)s is %(state)s."), rule="backup.state",
                fix=N_("Choose another one; its page says what is wrong with this."), name=str(one), state=one.state,
            )  # fmt: skip
        backup = one
    return backup


def require_unused(backup: Backup) -> None:
    """Raise Busy while a job reads it: restores from it, or makes one that builds on it."""
    reader = Job.objects.filter(plan__in=_READERS, state__in=sorted(ACTIVE), args__backup=str(backup.pk)).first()
    building = Job.objects.filter(
        plan="backup.make", state__in=sorted(ACTIVE), subject_kind="vm", subject_id=backup.vm_key
    ).first()
    if (job := reader or building) is not None:
        raise Busy(
            N_("%(name)s is busy: %(job)s."), rule="job.active", fix=N_("Wait until that is done, or cancel it."),
            name=str(backup), job=str(job),
        )  # fmt: skip
