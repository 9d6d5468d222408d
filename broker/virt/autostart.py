"""Machines that start with their host, in order, after it was seen to have been rebooted.

The monitor notes in `start_due` what is to be started, in the transaction in which it writes the reboot; the duty
starts it by ordinary jobs, as many at once as a host bears. A note ends with the start that was asked for, whatever
comes of it.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q

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
# A highly available machine has rules of its own, a pool's desktop those of its pool.
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
    return VirtualMachine.objects.filter(_WANTED, host=host).update(start_due=at)


def run() -> None:
    """Every few seconds: for each host on which something is due, start what may be started now."""
    for (host,) in _HOSTS_DUE.rows():
        for vm in _due_on(host):
            _start(vm)


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
    noted.exclude(pk__in=VirtualMachine.objects.filter(_WANTED).order_by().values("pk")).update(start_due=None)
    host = Host.objects.get(pk=host_id)
    if host.error or not HOST.is_(host.state, "schedulable") or lost_epoch(host):
        return []
    # Until a pass that began after the reboot was seen, the rows tell of the time before it.
    if host.observed_at is None:
        return []
    seen = noted.filter(start_due__lt=host.observed_at)
    # A pass marks the host before its machines: what is up counts when it was seen so, or is not gone after a while.
    stands = Q(observed_at__gt=F("start_due")) | Q(start_due__lt=host.observed_at - SETTLED)
    seen.filter(stands, power_state__in=UP).update(start_due=None)
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
    """Ask for its start and end the note, both or neither; a refusal ends it too, and is told."""
    try:
        with transaction.atomic():
            if _end(vm):
                _tell(vm, "vm.autostart", N_("%(name)s starts with its host %(host)s"))
                start_vm(actor=DUTY, vm=VirtualMachine.objects.get(pk=vm.pk))
    except Busy:
        return  # the next round looks again
    except BerthError as error:
        with transaction.atomic():
            if _end(vm):
                _tell(
                    vm, "vm.autostart-refused", N_("%(name)s does not start with its host %(host)s: %(cause)s"),
                    severity="error", cause=error.message, explanation=error.as_dict(),
                )  # fmt: skip


def _end(vm: VirtualMachine) -> bool:
    """False when somebody else did."""
    return bool(VirtualMachine.objects.filter(pk=vm.pk, start_due=vm.start_due).update(start_due=None))


def _tell(vm: VirtualMachine, kind: str, message: str, **more: Any) -> None:
    record(kind, actor=DUTY, subject=vm, message=message, name=vm.name, host=str(vm.host), **more)
    publish("vm", vm.pk, "changed")
