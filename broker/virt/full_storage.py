"""The duty for machines that their hosts paused because a disk could not grow: they go on when there is room again."""

import logging
from datetime import timedelta

from django.db import transaction

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import BerthError
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE

from . import hosts, specs
from .actions.resume_vm import resume_vm
from .driver import NO_SPACE, PowerState
from .models import StorageDomain, VirtualMachine

log = logging.getLogger(__name__)
DUTY = Actor.system("virt.full-storage")
BATCH = 50
AGAIN_AFTER = timedelta(seconds=30)
LEAST_FREE = 1 << 20


def resume_full() -> int:
    """Resume those whose storages all have more free than their critical level, now. Returns how many."""
    recent = Job.objects.filter(subject_kind="vm", plan="vm.resume", created_at__gt=clock.now() - AGAIN_AFTER)
    busy = Job.objects.filter(subject_kind="vm", state__in=ACTIVE)
    rows = VirtualMachine.objects.filter(
        state="ready", power_state=PowerState.PAUSED, power_reason=NO_SPACE, host__error=""
    )  # fmt: skip
    resumed = 0
    roomy: dict[tuple[object, object], bool] = {}
    for vm in rows.exclude(pk__in=recent.values("subject_id")).exclude(pk__in=busy.values("subject_id"))[:BATCH]:
        try:
            if all(_has_room(vm, disk.storage, roomy) for disk in vm.disks.select_related("storage")):
                _resume(vm)
                resumed += 1
        except BerthError as error:
            log.info("%s stays paused: %s", vm, error)
    return resumed


def _has_room(vm: VirtualMachine, storage: StorageDomain, known: dict[tuple[object, object], bool]) -> bool:
    """As its host sees it now: what was measured a minute ago may be from before it was full."""
    assert vm.host is not None
    key = (vm.host_id, storage.pk)
    if key not in known:
        line, spec = hosts.connection(vm.host), specs.storage_spec(storage)
        line.ensure_storage(spec)
        info = line.storage(spec)
        kept = info.capacity * storage.critical_percent // 100
        known[key] = info.available > max(kept, LEAST_FREE)
    return known[key]


@transaction.atomic
def _resume(vm: VirtualMachine) -> None:
    resume_vm(actor=DUTY, vm=vm)
    record("vm.has-room", actor=DUTY, subject=vm, name=vm.name,
           message=N_("There is room on the storage of %(name)s again; it goes on"))  # fmt: skip
