"""What a database that was restored must forget before anybody works on it: all that was true of its moment alone.

Between the dump and now machines were started, moved and reset, hosts died and came back. So nobody acts on what was
observed then: it is looked at anew, and orders that only made sense at that moment are not carried out.
"""

from datetime import datetime, timedelta

from django.contrib.sessions.models import Session as SignIn
from django.db import transaction
from django.db.models import Q, QuerySet

from broker.access.actor import Actor
from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.jobs.duties import Duty
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE, JOB, JobState
from broker.virt.driver import PowerState
from broker.virt.models import HaWatch, Host, HostHealth, HostSign, MonitorProcess, Recovery, VirtualMachine
from broker.virt.states import RECOVERY
from pools.models import Sitting

# Carried out late they would hit a machine or host that somebody uses. None of their steps is undone.
MOMENTARY = (
    "vm.start", "vm.shutdown", "vm.power-off", "vm.reset", "vm.reboot", "vm.pause", "vm.resume", "vm.suspend",
    "host.fence", "host.ask",
)  # fmt: skip
# They begin with cutting the power: not before it is asked for anew. Those that are further go on.
POWER_FIRST = ("vm.reset-disks", "vm.revert", "backup.restore")
# Others go on by their probes, after the monitor has looked at the hosts.
LOOK_FIRST = timedelta(seconds=60)
HOST_LOST = "host lost"  # as broker.virt.observe writes it
NOT_SEEN = N_("Not looked at since the manager was restored")


@transaction.atomic
def settle(made_at: datetime) -> dict[str, int]:
    """Returns how many jobs were cancelled and how many go on. `made_at`: the moment of the dump."""
    now = clock.now()
    going_on = _put_off(now)
    told = {"cancelled": _end_momentary(now), "going_on": going_on}
    _forget_health(now)
    _forget_power()
    _begin_counting(now)
    SignIn.objects.all().delete()
    Duty.objects.all().delete()
    MonitorProcess.objects.all().delete()
    record(
        "manager.restored", actor=Actor.system("manage.py"), severity="warning", at=f"{made_at:%Y-%m-%d %H:%M:%S}",
        message=N_("The manager was restored from its backup of %(at)s UTC; it knows nothing of what happened since"),
    )  # fmt: skip
    return told


def _late() -> QuerySet[Job]:
    """Orders that only made sense at that moment."""
    late = Q(plan__in=MOMENTARY) | Q(plan__in=POWER_FIRST, position=0)
    return Job.objects.filter(late, state__in=ACTIVE).exclude(state=JobState.UNDOING)


def _put_off(now: datetime) -> int:
    """`worker` stays as it was: who takes one of them over knows that it is not the first."""
    rows = Job.objects.filter(state__in=ACTIVE).exclude(pk__in=_late().order_by().values("pk"))
    return rows.update(lease_until=now, next_run_at=now + LOOK_FIRST)


def _end_momentary(now: datetime) -> int:
    """Turned back wherever they were, also past their last exit: the next worker ends them and does nothing else."""
    return JOB.attempt(
        _late(), "undo", outcome=JobState.CANCELLED, error=None, retries=0, message="", message_params={},
        lease_until=now, next_run_at=now,
    )  # fmt: skip


def _forget_health(now: datetime) -> None:
    """Hosts are judged from nothing: watched since now, no sign seen, none dead, no machine waiting for a restart.

    Until the monitor has looked at one, nothing is started there. That it was rebooted since says nothing either: what
    its processors had spent is of the old moment. `epoch` goes on, for it tells one loss of a host from the next.
    """
    HaWatch.objects.update(since=now, looked_at=now - timedelta(days=1))
    HostSign.objects.all().delete()
    HostHealth.objects.update(
        seen={}, silent_since=None, asked_at=None, tried_at=None, off_at=None, confirmed_at=None, lost_at=None,
        only_leased=False, decision="", rule="",
    )  # fmt: skip
    RECOVERY.attempt(Recovery.objects.all(), "drop")
    Host.objects.update(error=NOT_SEEN, ticked_seconds=None, monitor="", monitor_until=None)


def _forget_power() -> None:
    """Nobody has seen them since. A highly available one that was off by its user's wish is still taken for that.

    What is of unknown power is restarted when its host is found dead; of others no more becomes than "off".
    """
    moving = (PowerState.RUNNING, PowerState.PAUSED, PowerState.CRASHED)
    shaky = Q(power_state__in=moving) | Q(power_reason=HOST_LOST) | Q(available=False)
    started = Q(start_due__isnull=False) | Q(start_job__isnull=False)
    VirtualMachine.objects.filter(started).update(start_due=None, start_tries=0, start_job=None)
    VirtualMachine.objects.filter(shaky).update(
        power_state=PowerState.UNKNOWN, power_reason="", boot_id="", definition="", observed_at=None
    )


def _begin_counting(now: datetime) -> None:
    """The rules of pools for who left, or stays long, count from now: who knows who sat there meanwhile."""
    Sitting.objects.update(acts={}, guest_boot="", logged_off_at=None)
    for name in ("began_at", "left_at", "input_at"):
        Sitting.objects.filter(**{f"{name}__isnull": False}).update(**{name: now})
