"""host.evacuate: every machine of a host is moved to others, each by a vm.migrate job of its own; then the host rests.

args: `moves` (machine → [tries, its last job]), `total`. A machine that could not be moved is tried again; when only
such are left, the job fails and names each with its reason, and the host is in service again. It gives up at once when
the host no longer answers: its death is high availability's to judge, which needs the host's place for jobs.
"""

from typing import Any

from broker.access.actions.cancel_job import cancel_job
from broker.access.actor import Actor
from broker.core.errors import BerthError, Busy, Conflict, Reason
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.context import Context
from broker.jobs.models import Job
from broker.jobs.plans import NotYet, Plan, Step, register
from broker.jobs.runner import JobActor
from broker.jobs.states import ACTIVE
from broker.virt.actions.migrate_vm import migrate_vm
from broker.virt.evacuating import machines_on, reason
from broker.virt.models import Host, VirtualMachine
from broker.virt.states import HOST, HostState

EVACUATION = Actor.system("virt.evacuate")
AT_ONCE = 4  # moves under way; how many of them leave at the same time is the migration policy's to say
TRIES = 3
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
        ctx.save(total=max(ctx.args.get("total", 0), len(left)))
        stuck = _see_to(ctx, left)
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


def _see_to(ctx: Context, left: list[VirtualMachine]) -> list[Reason]:
    """Begin moves where none is under way; returns why machines that were tried often enough cannot be moved."""
    moves: dict[str, Any] = dict(ctx.args.get("moves", {}))
    at_work = set(
        Job.objects.filter(subject_kind="vm", subject_id__in=[vm.pk for vm in left], state__in=ACTIVE).values_list(
            "subject_id", flat=True
        )
    )
    stuck, room = [], AT_ONCE - len(at_work)
    for vm in left:
        tries, last = moves.get(str(vm.pk), [0, ""])
        if vm.pk in at_work:
            continue
        if tries >= TRIES:
            stuck.append(_why(vm, last))
        elif room > 0:
            room -= 1
            _move(ctx, vm, tries, moves)
    return stuck


def _move(ctx: Context, vm: VirtualMachine, tries: int, moves: dict[str, Any]) -> None:
    """Ask for one move; the try is noted in the transaction that accepts it, with the job or with the refusal."""
    try:
        with ctx.write():
            job = migrate_vm(actor=EVACUATION, vm=vm)
            moves[str(vm.pk)] = [tries + 1, str(job.pk)]
            ctx.save(moves=moves)
    except Busy:
        return
    except BerthError as error:
        moves[str(vm.pk)] = [tries + 1, reason(vm, error).as_dict()]
        ctx.save(moves=moves)


def _why(vm: VirtualMachine, last: Any) -> Reason:
    """Why the last try did not move it: the refusal, or how its job ended."""
    if isinstance(last, dict):
        return Reason.of(last)
    job = Job.objects.filter(pk=last).first()
    error = (job.error if job else None) or {}
    message = error.get("message") or N_("its move was cancelled")
    return Reason(
        vm.name, error.get("rule") or "migration.cancelled", message, kind="vm", id=vm.pk, **error.get("params", {})
    )


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
    for _, last in ctx.args.get("moves", {}).values():
        job = Job.objects.filter(pk=last, state__in=ACTIVE).first() if isinstance(last, str) else None
        if job is not None and not job.cancel_requested:
            try:
                cancel_job(actor=EVACUATION, job=job)
            except Conflict:
                continue  # it ended just now
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
