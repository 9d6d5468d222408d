"""The duty for machines that their hosts paused because a disk was full, or could not be read or written.

What is to become of one says its `on_error`: it goes on as soon as there is room, or the storage is seen to be well;
it stays paused for somebody to look at; or its power is cut, and if it is highly available it is started again.
"""

import logging
from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import BerthError
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE, JobState

from . import hosts, specs
from .actions.power_off_vm import power_off_vm
from .actions.resume_vm import resume_vm
from .driver import IO_ERROR, NO_SPACE, PowerState
from .ha.recovery import CRASHES, CRASHES_WITHIN
from .models import Recovery, StorageAttachment, StorageDomain, VirtualMachine
from .states import RECOVERY, VmState

log = logging.getLogger(__name__)
DUTY = Actor.system("virt.disk-trouble")
BATCH = 50
AGAIN_AFTER = timedelta(seconds=30)
LEAST_FREE = 1 << 20
OnError = VirtualMachine.OnError


def see_to_paused() -> int:
    """Resume those that may go on now, cut the power of those that are to end. Returns how many of both."""
    start_killed()
    recent = Job.objects.filter(
        subject_kind="vm", plan__in=("vm.resume", "vm.power-off"), created_at__gt=clock.now() - AGAIN_AFTER
    )
    busy = Job.objects.filter(subject_kind="vm", state__in=ACTIVE)
    rows = VirtualMachine.objects.filter(
        state=VmState.READY, power_state=PowerState.PAUSED, power_reason__in=(NO_SPACE, IO_ERROR), host__error=""
    ).exclude(on_error=OnError.PAUSE)  # fmt: skip
    done = 0
    well: dict[tuple[object, ...], bool] = {}
    for vm in rows.exclude(pk__in=recent.values("subject_id")).exclude(pk__in=busy.values("subject_id"))[:BATCH]:
        try:
            if vm.on_error == OnError.KILL:
                _kill(vm)
            elif all(_is_well(vm, disk.storage, well) for disk in vm.disks.select_related("storage")):
                _resume(vm)
            else:
                continue
            done += 1
        except BerthError as error:
            log.info("%s stays paused: %s", vm, error)
    return done


def _is_well(vm: VirtualMachine, storage: StorageDomain, known: dict[tuple[object, ...], bool]) -> bool:
    key = (vm.host_id, storage.pk, vm.power_reason)
    if key not in known:
        known[key] = _has_room(vm, storage) if vm.power_reason == NO_SPACE else _answers(vm, storage)
    return known[key]


def _has_room(vm: VirtualMachine, storage: StorageDomain) -> bool:
    """As its host sees it now: what was measured a minute ago may be from before it was full."""
    assert vm.host is not None
    line, spec = hosts.connection(vm.host), specs.storage_spec(storage)
    line.ensure_storage(spec)
    info = line.storage(spec)
    kept = info.capacity * storage.critical_percent // 100
    return info.available > max(kept, LEAST_FREE)


def _answers(vm: VirtualMachine, storage: StorageDomain) -> bool:
    """As its host was last seen to see it: to ask one that hangs would hold up all others."""
    blind = StorageAttachment.objects.filter(storage=storage, host=vm.host_id).exclude(error="")
    return not storage.error and not blind.exists()


@transaction.atomic
def _resume(vm: VirtualMachine) -> None:
    resume_vm(actor=DUTY, vm=vm)
    if vm.power_reason == NO_SPACE:
        record("vm.has-room", actor=DUTY, subject=vm, name=vm.name,
               message=N_("There is room on the storage of %(name)s again; it goes on"))  # fmt: skip
    else:
        record("vm.tried-again", actor=DUTY, subject=vm, name=vm.name,
               message=N_("%(name)s goes on, and tries its disk again"))  # fmt: skip


@transaction.atomic
def _kill(vm: VirtualMachine) -> None:
    power_off_vm(actor=DUTY, vm=vm)
    record("vm.killed", actor=DUTY, subject=vm, severity="error", name=vm.name,
           message=N_("The power of %(name)s is cut, as it was told to do when a disk fails"))  # fmt: skip


def start_killed() -> None:
    """Highly available ones whose power we cut are started again where they were; not for ever."""
    now = clock.now()
    ours: QuerySet[Job] = Job.objects.filter(
        plan="vm.power-off", state=JobState.SUCCEEDED, actor_name=DUTY.name,
        created_at__gt=now - CRASHES_WITHIN,
    )  # fmt: skip
    cut = {job.subject_id: job.created_at for job in ours.order_by("created_at")}
    off = VirtualMachine.objects.filter(
        pk__in=cut, available=True, state=VmState.READY, power_state=PowerState.OFF, host__isnull=False
    ).exclude(recoveries__state__in=RECOVERY.sets["open"])
    for vm in off:
        past = list(Recovery.objects.filter(vm=vm, created_at__gt=now - CRASHES_WITHIN).values_list("created_at"))
        if len(past) < CRASHES and all(at < cut[vm.pk] for (at,) in past):
            assert vm.host is not None
            Recovery.objects.create(vm=vm, host=vm.host, epoch=0, next_at=now, created_at=now)
