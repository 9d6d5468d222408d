"""The duties of backups: make those that are due, remove those that are old, end what nobody works on any more."""

import logging
from collections import defaultdict
from datetime import timedelta
from uuid import UUID

from django.db import transaction

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import BerthError, Busy
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE
from broker.virt.models import VirtualMachine

from .actions.back_up import back_up
from .actions.delete_backup import delete_backup
from .models import Backup, BackupSchedule
from .retention import Entry, Keep, kept, next_run
from .states import BACKUP, BackupState

log = logging.getLogger(__name__)
DUTY = Actor.system("backups")
GRACE = timedelta(seconds=30)
TRY_AGAIN = timedelta(minutes=10)
MOST_DELETIONS = 20


def reconcile() -> None:
    """Every half minute."""
    run_due()
    expire()
    end_unfinished()


def run_due() -> int:
    """Begin the backups of every schedule whose time has come; returns how many were begun.

    The row's compare-and-swap decides who does; times that passed while nothing ran are made up for once.
    """
    now, begun = clock.now(), 0
    for schedule in BackupSchedule.objects.filter(enabled=True, next_run_at__lte=now).select_related("target"):
        coming = next_run(schedule.days, schedule.at, schedule.zone, now)
        mine = BackupSchedule.objects.filter(pk=schedule.pk, next_run_at=schedule.next_run_at)
        if mine.update(next_run_at=coming, last_run_at=now):
            begun += sum(_back_up(schedule, vm) for vm in schedule.vms.select_related("host"))
    return begun


def _back_up(schedule: BackupSchedule, vm: VirtualMachine) -> bool:
    try:
        back_up(actor=DUTY, vm=vm, target=schedule.target, full=_full_is_due(schedule, vm), schedule=schedule)
    except BerthError as error:
        record(
            "backup.not-made", actor=DUTY, subject=vm, severity="error", name=vm.name, schedule=schedule.name,
            message=N_("The backup of %(name)s by the schedule %(schedule)s failed: %(cause)s"), cause=error.message,
            explanation=error.as_dict(),
        )  # fmt: skip
        return False
    return True


def _full_is_due(schedule: BackupSchedule, vm: VirtualMachine) -> bool:
    rows = Backup.objects.filter(vm_key=vm.pk, target=schedule.target, state=BackupState.READY)
    kinds = list(rows.order_by("-created_at").values_list("kind", flat=True)[: schedule.full_every])
    since = kinds.index(Backup.Kind.FULL) if Backup.Kind.FULL in kinds else len(kinds)
    return since + 1 >= schedule.full_every


def expire() -> int:
    """Delete what no rule keeps, the newest of a chain first; returns how many deletions were begun.

    The backups of a machine that is gone stay: nobody makes new ones that could take their place.
    """
    begun = 0
    for schedule in BackupSchedule.objects.filter(enabled=True):
        for entries in _by_machine(schedule).values():
            keep = Keep(schedule.keep_last, schedule.keep_daily, schedule.keep_weekly, schedule.keep_monthly)
            old = {entry.id for entry in entries} - kept(entries, keep, schedule.zone)
            leaves = Backup.objects.filter(pk__in=old, children=None, state__in=BACKUP.sets["deletable"])
            for backup in leaves[: max(MOST_DELETIONS - begun, 0)]:
                begun += _delete(backup)
    return begun


def _by_machine(schedule: BackupSchedule) -> dict[UUID, list[Entry]]:
    found = defaultdict(list)
    rows = Backup.objects.filter(schedule=schedule, vm__isnull=False, state__in=BACKUP.sets["deletable"])
    for pk, at, parent, machine in rows.values_list("pk", "created_at", "parent_id", "vm_key"):
        found[machine].append(Entry(pk, at, parent))
    return found


def _delete(backup: Backup) -> bool:
    try:
        delete_backup(actor=DUTY, backup=backup)
    except BerthError as error:
        log.info("The backup %s stays for now: %s", backup, error)
        return False
    return True


def end_unfinished() -> int:
    """Backups whose job is gone are deleted, and deletions that stopped go on; returns how many were begun."""
    begun = 0
    limit = clock.now() - GRACE
    for backup in Backup.objects.filter(state=BackupState.MAKING, created_at__lt=limit):
        if not Job.objects.filter(plan="backup.make", state__in=sorted(ACTIVE), args__backup=str(backup.pk)).exists():
            with transaction.atomic():
                BACKUP.move(backup, "delete")
                begun += _enqueue(backup)
    for backup in Backup.objects.filter(state=BackupState.DELETING):
        last = Job.objects.filter(subject_kind="backup", subject_id=backup.pk).order_by("-created_at").first()
        if last is None or (not last.active and last.finished_at and last.finished_at < clock.now() - TRY_AGAIN):
            begun += _enqueue(backup)
    return begun


def _enqueue(backup: Backup) -> bool:
    try:
        enqueue("backup.delete", actor=DUTY, subject=backup)
    except Busy:
        return False
    return True
