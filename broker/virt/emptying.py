"""What emptying a host and emptying a storage share: a job of its own for each machine, a few at once, tried again.

The parent's args hold `moves` (machine → [tries, its last job or the refusal]) and `total`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from broker.access.actions.cancel_job import cancel_job
from broker.access.actor import Actor
from broker.core.errors import BerthError, Busy, Conflict, Reason
from broker.core.text import gettext_noop as N_
from broker.jobs.context import Context
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE

from .evacuating import reason
from .models import VirtualMachine

EVACUATION = Actor.system("virt.evacuate")
AT_ONCE = 4  # moves under way; a migration policy may let fewer leave at the same time
TRIES = 3
Ask = Callable[[VirtualMachine], Job]


def see_to(ctx: Context, left: Sequence[VirtualMachine], ask: Ask) -> list[Reason]:
    """Begin moves where none is under way; returns why machines that were tried often enough cannot be moved."""
    ctx.save(total=max(ctx.args.get("total", 0), len(left)))
    moves: dict[str, Any] = dict(ctx.args.get("moves", {}))
    working = Job.objects.filter(subject_kind="vm", subject_id__in=[vm.pk for vm in left], state__in=ACTIVE)
    at_work = set(working.values_list("subject_id", flat=True))
    stuck, room = [], AT_ONCE - len(at_work)
    for vm in left:
        tries, last = moves.get(str(vm.pk), [0, ""])
        if vm.pk in at_work:
            continue
        if tries >= TRIES:
            stuck.append(_why(vm, last))
        elif room > 0:
            room -= 1
            _begin(ctx, vm, ask, tries, moves)
    return stuck


def call_back(ctx: Context) -> None:
    """Cancel what is under way, without waiting for it."""
    for _, last in ctx.args.get("moves", {}).values():
        job = Job.objects.filter(pk=last, state__in=ACTIVE).first() if isinstance(last, str) else None
        if job is not None and not job.cancel_requested:
            try:
                cancel_job(actor=EVACUATION, job=job)
            except Conflict:
                continue  # it ended just now


def _begin(ctx: Context, vm: VirtualMachine, ask: Ask, tries: int, moves: dict[str, Any]) -> None:
    """Ask for one move; the try is noted in the transaction that accepts it, with the job or with the refusal."""
    try:
        with ctx.write():
            job = ask(vm)
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
