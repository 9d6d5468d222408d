"""The virtualization manager's duties: what must not stay as it is, found in the rows and ended.

Level-triggered: each run looks at everything, so a lost message, a dead worker or a missed event only costs
time. Each rule acts on a bounded number of rows per run.
"""

import logging
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import Busy
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE

from . import history, screens
from .driver import PowerState
from .models import Host, MonitorProcess, TemplateVersion, VirtualMachine
from .states import HOST, VERSION, VM, HostState, VmState

log = logging.getLogger(__name__)
RECONCILER = Actor.system("virt.reconcile")
GRACE = timedelta(seconds=10)  # after a job's end its successor may just be being accepted
MISSING_FOR = timedelta(seconds=60)
SHUTDOWN_FORGOTTEN = timedelta(minutes=15)
UNWATCHED_FOR = timedelta(seconds=45)
TRIES, TRIES_WITHIN = 3, timedelta(hours=1)
BATCH = 100

NOT_WATCHED = N_("No monitor process is running, so nothing is known of this host. Start one: manage.py monitor.")


def reconcile() -> None:
    """Every few seconds: unfinished lives, missing machines, forgotten requests, unwatched hosts."""
    end_creating()
    end_deleting()
    end_versions()
    end_preparing()
    break_missing()
    forget_shutdowns()
    tell_unwatched()


def purge() -> None:
    """Now and then: old samples, pictures nobody looks at, monitors that are gone."""
    history.purge()
    screens.purge()
    MonitorProcess.objects.filter(seen_at__lt=clock.now() - timedelta(hours=1)).delete()


def end_creating() -> int:
    """A machine being made that no job makes is broken: its page offers to delete it. Returns how many."""
    rows = _idle(VirtualMachine.objects.filter(state=VmState.CREATING, created_at__lt=clock.now() - GRACE), "vm")
    return sum(
        _break(row, "vm.not-created", N_("Making %(name)s came to no end; delete it and make it anew")) for row in rows
    )


def end_deleting() -> int:
    """Deleting goes on by a new job; after TRIES in TRIES_WITHIN the machine is broken. Returns how many moved."""
    moved = 0
    for row in _idle(VirtualMachine.objects.filter(state=VmState.DELETING), "vm"):
        if _tries("vm", row.pk, "vm.delete") >= TRIES:
            moved += _break(row, "vm.not-deleted", N_("%(name)s cannot be deleted; the last job says why"))
        else:
            moved += _again("vm.delete", row, "vm")
    return moved


def end_versions() -> int:
    """A template version being built or removed goes on by the same job anew, TRIES times an hour."""
    moved = 0
    for row in _idle(TemplateVersion.objects.filter(state__in=("building", "deleting")), "template-version"):
        last = Job.objects.filter(subject_kind="template-version", subject_id=row.pk).order_by("-created_at").first()
        if last and _tries("template-version", row.pk, last.plan) < TRIES:
            moved += _again(last.plan, row, "template-version")
        elif last is None and row.made_from and row.created_at < clock.now() - GRACE:
            moved += _remove_unmade(row)
    return moved


def _remove_unmade(row: TemplateVersion) -> int:
    """A version that was to be made from a machine, whose job (on that machine) broke off without tidying up."""
    if Job.objects.filter(plan="template.make", state__in=ACTIVE, args__version=str(row.pk)).exists():
        return 0
    with transaction.atomic():
        if not VERSION.attempt(TemplateVersion.objects.filter(pk=row.pk, state=row.state), "delete"):
            return 0
        enqueue("template.delete-version", actor=RECONCILER, subject=row, args={"was": row.state})
    log.info("%s was not made; what there is of it is removed", row)
    return 1


def end_preparing() -> int:
    """A host being emptied that no job empties is in service again. Returns how many."""
    moved = 0
    for row in _idle(Host.objects.filter(state=HostState.PREPARING), "host"):
        with transaction.atomic():
            if HOST.attempt(Host.objects.filter(pk=row.pk), "keep"):
                record("host.kept", actor=RECONCILER, subject=row, severity="warning", name=row.name,
                       message=N_("%(name)s is in service again: it was not emptied"))  # fmt: skip
                publish("host", row.pk, "changed")
                moved += 1
    return moved


def break_missing() -> int:
    """A machine gone from a host that answers is broken; it mends by itself when it is seen again. Returns how many."""
    rows = VirtualMachine.objects.filter(
        state=VmState.READY,
        power_state=PowerState.MISSING,
        observed_at__lt=clock.now() - MISSING_FOR,
        host__error="",
        host__observed_at__gt=clock.now() - MISSING_FOR,
    )
    message = N_("%(name)s is broken: its host no longer knows it")
    return sum(_break(row, "vm.missing", message) for row in _idle(rows, "vm"))


def forget_shutdowns() -> int:
    """Whoever asked for a shutdown long ago no longer waits for it. Returns how many."""
    limit = clock.now() - SHUTDOWN_FORGOTTEN
    return VirtualMachine.objects.filter(shutdown_asked_at__lt=limit).update(shutdown_asked_at=None)


def tell_unwatched() -> int:
    """With no monitor there, the hosts say so; the one that comes clears it. Returns how many hosts were told."""
    late = clock.now() - UNWATCHED_FOR
    if MonitorProcess.objects.filter(seen_at__gt=late).exists():
        return 0  # it takes every free host within seconds
    told = 0
    for host in Host.objects.filter(Q(monitor_until__lt=late) | Q(monitor_until__isnull=True), error="")[:BATCH]:
        told += Host.objects.filter(pk=host.pk, error="").update(error=NOT_WATCHED)
        publish("host", host.pk, "changed")
    return told


def _idle(rows, kind):  # type: ignore[no-untyped-def]
    """Those of `rows` on which no job works, and none has worked just now."""
    recent = Q(state__in=ACTIVE) | Q(finished_at__gt=clock.now() - GRACE)
    busy = Job.objects.filter(recent, subject_kind=kind).values("subject_id")
    return rows.exclude(pk__in=busy)[:BATCH]


def _tries(kind: str, pk: UUID, plan: str) -> int:
    since = clock.now() - TRIES_WITHIN
    return Job.objects.filter(subject_kind=kind, subject_id=pk, plan=plan, created_at__gt=since).count()


def _break(row: VirtualMachine, kind: str, message: str) -> int:
    with transaction.atomic():
        # The state looked at and no other: what moved meanwhile is left alone.
        if not VM.attempt(VirtualMachine.objects.filter(pk=row.pk, state=row.state), "break"):
            return 0
        record(kind, actor=RECONCILER, subject=row, severity="error", message=message, name=row.name)
        publish("vm", row.pk, "changed")
    return 1


def _again(plan: str, row: VirtualMachine | TemplateVersion, kind: str) -> int:
    """The plan anew, with what the last job was given: its steps probe what is there already."""
    last = Job.objects.filter(subject_kind=kind, subject_id=row.pk, plan=plan).order_by("-created_at").first()
    try:
        with transaction.atomic():
            enqueue(plan, actor=RECONCILER, subject=row, args=dict(last.args) if last else {})
    except Busy:
        return 0
    log.info("%s of %s goes on", plan, row)
    return 1
