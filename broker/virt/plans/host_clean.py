"""host.clean: a host that was lost is back: copies of machines that were restarted elsewhere are removed from it.

A copy is removed only where a recovery of this very loss, or an earlier one, is on record; all others stay as they are.
Power management may have lied: a machine that still runs there, and was started nowhere else so far, never stopped, and
is what it was.
"""

from typing import TYPE_CHECKING

from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.context import Context
from broker.jobs.plans import NotYet, Plan, Step, register
from broker.jobs.runner import JobActor
from broker.virt import autostart, hosts
from broker.virt.driver import HostConnection, PowerState
from broker.virt.models import Host, HostHealth, Recovery, VirtualMachine
from broker.virt.states import RECOVERY, RecoveryState
from broker.virt.work import cut_power

if TYPE_CHECKING:
    from django.db.models import QuerySet

UP = (PowerState.RUNNING, PowerState.PAUSED)


def remove(ctx: Context) -> None:
    """Cut and forget every stale copy; each again, if half of it was done."""
    host = Host.objects.get(pk=ctx.job.subject_id)
    line = hosts.guarded(ctx, host)
    rows = Recovery.objects.filter(host=host, epoch__gt=0).select_related("vm", "vm__host")
    _keep(ctx, host, line, rows)
    for row in rows.filter(state=RecoveryState.DONE).exclude(vm__host=host):
        uuid = str(row.vm_id)
        if line.observe_one(uuid).power is PowerState.MISSING:
            continue
        cut_power(line, uuid)
        line.undefine(uuid)
        with ctx.write():
            record("vm.stale-copy", actor=JobActor(ctx.job), subject=row.vm, severity="warning", name=row.vm.name,
                   host=host.name, message=N_("A stale copy of %(name)s was removed from %(host)s"))  # fmt: skip


def _keep(ctx: Context, host: Host, line: HostConnection, rows: "QuerySet[Recovery]") -> None:
    """Machines that never stopped: theirs again is the host, and whoever wanted to restart them need not.

    A start under way elsewhere is waited for: it takes the machine from here, or fails for the disk that is in use.
    """
    if rows.filter(state=RecoveryState.STARTING).exists():
        raise NotYet(1.0, N_("Waiting for the restarts elsewhere to end"))
    for row in rows.filter(state=RecoveryState.WAITING):
        vm, target = row.vm, row.vm.host
        if line.observe_one(str(vm.pk)).power not in UP or vm.power_state in UP or target is None:
            continue
        with ctx.write():
            if not RECOVERY.attempt(Recovery.objects.filter(pk=row.pk), "drop"):
                continue
            # As nobody has seen it here: all that was known of it was said by another host, or is not so.
            VirtualMachine.objects.filter(pk=vm.pk).update(
                host=host, power_state=PowerState.UNKNOWN, power_reason="", observed_at=None
            )
            record("vm.never-stopped", actor=JobActor(ctx.job), subject=vm, severity="warning", name=vm.name,
                   host=host.name, message=N_("%(name)s never stopped: it still runs on %(host)s"))  # fmt: skip
            publish("vm", vm.pk, "changed")


def welcome(ctx: Context) -> None:
    """Machines may be started on it again."""
    host = Host.objects.get(pk=ctx.job.subject_id)
    with ctx.write():
        lost = HostHealth.objects.filter(host=host, lost_at__isnull=False)
        whole = lost.filter(only_leased=False).values_list("lost_at", flat=True).first()
        if lost.update(lost_at=None, only_leased=False):
            if whole and (host.rebooted_at is None or host.rebooted_at < whole):
                autostart.note(host, clock.now())  # its kernel does not tell, but it was proved to be off
            record("host.returned", actor=JobActor(ctx.job), subject=host, name=host.name,
                   message=N_("%(name)s is back, and machines may be started on it"))  # fmt: skip


register(
    Plan(
        "host.clean",
        N_("Clean up"),
        "host",
        (
            Step("remove", remove, N_("Remove stale copies of machines"),
                 no_undo="A copy of a machine that runs elsewhere must never run."),
            Step("welcome", welcome, N_("Let machines be started on it"), no_undo="The host is clean."),
        ),
        cancellable=False,
    )
)  # fmt: skip
