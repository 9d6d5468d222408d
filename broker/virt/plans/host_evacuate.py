"""host.evacuate: every machine of a host is moved to others, each by a vm.migrate job of its own; then the host rests.

A machine that could not be moved is tried again; when only such are left, the job fails and names each with its reason,
and the host is in service again. It gives up at once when the host no longer answers: its death is high availability's
to judge, which needs the host's place for jobs.
"""

from broker.core.errors import Conflict, Reason
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.context import Context
from broker.jobs.plans import NotYet, Plan, Step, register
from broker.jobs.runner import JobActor
from broker.virt.actions.migrate_vm import migrate_vm
from broker.virt.emptying import EVACUATION, call_back, see_to
from broker.virt.evacuating import machines_on
from broker.virt.models import Host
from broker.virt.states import HOST, HostState

LOOK_EVERY = 1.0


def empty(ctx: Context) -> None:
    """See to each machine that is left; the host is in maintenance in the transaction that saw it empty."""
    host = Host.objects.select_related("cluster").get(pk=ctx.job.subject_id)
    if host.error:
        raise Conflict(
            N_("%(host)s does not answer, so its machines cannot be moved."), rule="host.answers",
            fix=N_("See to the host; when it is dead, high availability restarts its machines."), host=host.name,
        )  # fmt: skip
    left = list(machines_on(host).order_by("-priority", "name"))
    if left:
        stuck = see_to(ctx, left, lambda vm: migrate_vm(actor=EVACUATION, vm=vm))
        if len(stuck) == len(left):
            raise _stayed(host, stuck)
        total = ctx.args["total"]
        words = {"left": len(left), "total": total, "host": host.name}
        ctx.progress(1 - len(left) / total, N_("%(left)s of %(total)s machines are still on %(host)s"), **words)
        raise NotYet(LOOK_EVERY)
    with ctx.write():
        if HOST.attempt(Host.objects.filter(pk=host.pk), "emptied"):
            record("host.emptied", actor=JobActor(ctx.job), subject=host, name=host.name,
                   message=N_("%(name)s is empty and in maintenance"))  # fmt: skip
        publish("host", host.pk, "changed")


def emptied(ctx: Context) -> bool:
    return Host.objects.filter(pk=ctx.job.subject_id, state=HostState.MAINTENANCE).exists()


def _stayed(host: Host, stuck: list[Reason]) -> Conflict:
    return Conflict(
        N_("%(count)s machines cannot be moved away from %(host)s: %(why)s"),
        rule="host.evacuate",
        fix=N_("See to each of them, or shut it down; then try again. What was moved stays where it is."),
        reasons=stuck,
        count=len(stuck),
        host=host.name,
        why="; ".join(f"{one.subject}: {one.message}" for one in stuck[:3]),
    )


def stay(ctx: Context) -> None:
    """Call back what is under way, without waiting for it, and put the host back into service."""
    call_back(ctx)
    with ctx.write():
        host = Host.objects.get(pk=ctx.job.subject_id)
        if HOST.attempt(Host.objects.filter(pk=host.pk), "keep"):
            record("host.kept", actor=JobActor(ctx.job), subject=host, severity="warning", name=host.name,
                   message=N_("%(name)s is in service again: it was not emptied"))  # fmt: skip
        publish("host", host.pk, "changed")


register(
    Plan(
        "host.evacuate",
        N_("Empty"),
        "host",
        (Step("empty", empty, N_("Move its machines away"), probe=emptied, undo=stay),),
    )
)
