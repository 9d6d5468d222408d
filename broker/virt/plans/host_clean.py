"""host.clean: a host that was lost is back: copies of machines that were restarted elsewhere are removed from it.

A copy is removed only where a recovery of this very loss, or an earlier one, is on record; all others stay as they are.
"""

from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.jobs.runner import JobActor
from broker.virt import hosts
from broker.virt.driver import PowerState
from broker.virt.models import Host, HostHealth, Recovery
from broker.virt.states import RecoveryState
from broker.virt.work import cut_power

OURS_ELSEWHERE = (RecoveryState.STARTING, RecoveryState.DONE)


def remove(ctx: Context) -> None:
    """Cut and forget every stale copy; each again, if half of it was done."""
    host = Host.objects.get(pk=ctx.job.subject_id)
    line = hosts.guarded(ctx, host)
    rows = Recovery.objects.filter(host=host, epoch__gt=0, state__in=OURS_ELSEWHERE).exclude(vm__host=host)
    for row in rows.select_related("vm", "vm__host"):
        uuid = str(row.vm_id)
        if line.observe_one(uuid).power is PowerState.MISSING:
            continue
        cut_power(line, uuid)
        line.undefine(uuid)
        with ctx.write():
            record("vm.stale-copy", actor=JobActor(ctx.job), subject=row.vm, severity="warning", name=row.vm.name,
                   host=host.name, message=N_("A stale copy of %(name)s was removed from %(host)s"))  # fmt: skip


def welcome(ctx: Context) -> None:
    """Machines may be started on it again."""
    host = Host.objects.get(pk=ctx.job.subject_id)
    with ctx.write():
        if HostHealth.objects.filter(host=host, lost_at__isnull=False).update(lost_at=None, only_leased=False):
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
