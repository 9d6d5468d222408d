"""Machines that start with their host, in order, after it was seen to have been rebooted.

The monitor notes in `start_due` what is to be started, in the transaction in which it writes the reboot; the duty
starts it by ordinary jobs, as many at once as a host bears. A note ends with the start that was asked for. One that is
refused or fails is noted again for later, a few times: what was missing, a storage or another machine, often comes up
a little later than the host. Only the last failure is told.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import BerthError, Busy, Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE, JobState
from broker.sql import Statement

from . import names, turns
from .actions.start_vm import WHEN, start_vm
from .driver import PowerState
from .ha.loss import lost_epoch
from .models import Host, VirtualMachine
from .states import HOST, VmState

DUTY = Actor.system("virt.autostart")
UP = (PowerState.RUNNING, PowerState.PAUSED)
SETTLED = timedelta(seconds=60)
LAST, LONGEST_DELAY = 100, 3600
AGAIN_AFTER = (15, 60, 240)
"""Seconds from each failure to the next try; after that of the last try nobody tries again."""
# Whoever asked for one of these since it failed has taken the machine in hand.
_BY_HAND = ("vm.start", "vm.shutdown", "vm.power-off", "vm.suspend")
# A highly available machine has rules of its own, a pool's desktop those of its pool.
_OVER: dict[str, Any] = {"start_due": None, "start_tries": 0, "start_job": None}
_WANTED = Q(autostart=True, available=False, desktop__isnull=True, state=VmState.READY)


def checked_order(value: int) -> int:
    """Which are started first: those of the lowest number. Raises Invalid."""
    return names.number(value, field="autostart_order", least=0, most=LAST)


def checked_delay(value: int) -> int:
    """Seconds that machines of a higher order wait after its start. Raises Invalid."""
    return names.number(value, field="autostart_delay", least=0, most=LONGEST_DELAY)


def require_possible(vm: VirtualMachine) -> None:
    """Raise Conflict for a machine that cannot be set to start with its host."""
    if getattr(vm, "desktop", None) is not None:
        raise Conflict(
            N_("%(name)s is a desktop of a pool, which says when it runs."), rule="vm.autostart", about=vm,
            fix=N_("Set in the pool how many desktops are kept running."), name=vm.name,
        )  # fmt: skip


def note(host: Host, at: datetime) -> int:
    """The host came up anew at `at`: what starts with it is due. Returns how many. Call in a transaction."""
    wanted = VirtualMachine.objects.filter(_WANTED, host=host)
    return wanted.update(start_due=at, start_tries=0, start_job=None)


def run() -> None:
    """Every few seconds: look what became of the starts; for each host on which something is due, start what may be."""
    for row in _STARTED.rows():
        _look_after(VirtualMachine.objects.get(pk=row[0]))
    for (host,) in _HOSTS_DUE.rows():
        for vm in _due_on(host):
            _start(vm)


_STARTED = Statement(
    lambda: VirtualMachine.objects.filter(start_job__isnull=False).order_by().values_list("pk")
)  # fmt: skip
_HOSTS_DUE = Statement(
    lambda: (
        VirtualMachine.objects.filter(start_due__isnull=False, host__isnull=False)
        .order_by()
        .values_list("host")
        .distinct()
    )
)


def _due_on(host_id: UUID) -> list[VirtualMachine]:
    """What of one host is to be started now. Notes on what runs already, or is not wanted any more, are dropped."""
    noted = VirtualMachine.objects.filter(host=host_id, start_due__isnull=False)
    noted.exclude(pk__in=VirtualMachine.objects.filter(_WANTED).order_by().values("pk")).update(**_OVER)
    host = Host.objects.get(pk=host_id)
    if host.error or not HOST.is_(host.state, "schedulable") or lost_epoch(host):
        return []
    # Until a pass that began after the reboot was seen, the rows tell of the time before it.
    if host.observed_at is None:
        return []
    seen = noted.filter(start_due__lt=host.observed_at)
    # A pass marks the host before its machines: what is up counts when it was seen so, or is not gone after a while.
    stands = Q(observed_at__gt=F("start_due")) | Q(start_due__lt=host.observed_at - SETTLED)
    seen.filter(stands, power_state__in=UP).update(**_OVER)
    waiting = list(seen.filter(power_state__in=WHEN).order_by("autostart_order", "name"))
    if not waiting or not _their_turn(host, waiting[0]):
        return []
    room = max(turns.most_starts(host.cpus) - turns.under_way(host), 0)
    return [vm for vm in waiting if vm.autostart_order == waiting[0].autostart_order][:room]


def _their_turn(host: Host, first: VirtualMachine) -> bool:
    """Whether the starts of lower orders have ended, and the delays after them."""
    lower = dict(
        VirtualMachine.objects.filter(host=host, autostart_order__lt=first.autostart_order)
        .order_by()
        .values_list("pk", "autostart_delay")
    )
    jobs = Job.objects.filter(
        plan="vm.start", subject_kind="vm", actor_name=DUTY.name, created_at__gte=first.start_due,
        subject_id__in=list(lower),
    )  # fmt: skip
    now = clock.now()
    for subject, state, ended in jobs.values_list("subject_id", "state", "finished_at"):
        if state in ACTIVE:
            return False
        if state == JobState.SUCCEEDED and ended and ended + timedelta(seconds=lower[subject]) > now:
            return False
    return True


def _start(vm: VirtualMachine) -> None:
    """Ask for its start and end the note, both or neither."""
    mine = VirtualMachine.objects.filter(pk=vm.pk, start_due=vm.start_due)
    if vm.start_tries and _in_hand(vm):
        mine.update(**_OVER)
        return
    tries = vm.start_tries + 1
    try:
        with transaction.atomic():
            if not mine.update(start_due=None, start_tries=tries):
                return  # somebody else did
            if tries == 1:
                _tell(vm, "vm.autostart", N_("%(name)s starts with its host %(host)s"))
            job = start_vm(actor=DUTY, vm=VirtualMachine.objects.get(pk=vm.pk), untold=True)
            VirtualMachine.objects.filter(pk=vm.pk).update(start_job=job.pk)
    except Busy:
        return  # the next round looks again
    except BerthError as error:
        _failed(vm, mine, tries, cause=error.message, explanation=error.as_dict())


def _look_after(vm: VirtualMachine) -> None:
    """What became of the start that was asked for."""
    mine = VirtualMachine.objects.filter(pk=vm.pk, start_job=vm.start_job)
    job = Job.objects.filter(pk=vm.start_job).first() if vm.start_job else None
    if job is None or job.state in (JobState.SUCCEEDED, JobState.CANCELLED):
        mine.update(**_OVER)
    elif job.state not in ACTIVE:
        _failed(vm, mine, vm.start_tries, cause=job.cause, explanation=job.error)


def _failed(vm: VirtualMachine, mine: QuerySet[VirtualMachine], tries: int, **why: Any) -> None:
    """Note it for later, or tell `why` not. `mine`: its row, as long as nobody else has dealt with this failure."""
    if tries <= len(AGAIN_AFTER):
        later = clock.now() + timedelta(seconds=AGAIN_AFTER[tries - 1])
        mine.update(start_due=later, start_tries=tries, start_job=None)
        return
    with transaction.atomic():
        if mine.update(**_OVER):
            message = N_("%(name)s does not start with its host %(host)s: %(cause)s")
            _tell(vm, "vm.autostart-refused", message, severity="error", **why)


def _in_hand(vm: VirtualMachine) -> bool:
    """Whether somebody else started or stopped it since its last try failed: it is theirs now."""
    assert vm.start_due is not None
    failed_at = vm.start_due - timedelta(seconds=AGAIN_AFTER[vm.start_tries - 1])
    since = Job.objects.filter(subject_kind="vm", subject_id=vm.pk, plan__in=_BY_HAND, created_at__gt=failed_at)
    return since.exclude(actor_name=DUTY.name).exists()


def _tell(vm: VirtualMachine, kind: str, message: str, **more: Any) -> None:
    record(kind, actor=DUTY, subject=vm, message=message, name=vm.name, host=str(vm.host), **more)
    publish("vm", vm.pk, "changed")
