"""batch.run: ask each machine of a batch, then wait for their jobs. Each machine has a job and an end of its own."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import find
from broker.access.scope import Scope, Token
from broker.core.errors import BerthError
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.events.record import record
from broker.jobs.context import Context
from broker.jobs.plans import NotYet, Plan, Step, register
from broker.jobs.runner import JobActor
from broker.virt import batches
from broker.virt.models import Batch, VirtualMachine

LOOK_EVERY = 1.0


def run(ctx: Context) -> None:
    """A machine's job and its line in the results come into being in one transaction, so none is asked twice."""
    batch = Batch.objects.get(pk=ctx.job.subject_id)
    actor = actor_of(batch, correlation=ctx.job.correlation or str(ctx.job.pk))
    for number, (pk, one) in enumerate(batch.results.items()):
        if one["state"] != batches.WAITING:
            continue
        with ctx.write():
            one |= _ask(actor, batch.verb, pk)
            Batch.objects.filter(pk=batch.pk).update(results=batch.results)
        ctx.progress(0.5 * (number + 1) / len(batch.results), N_("Asking %(name)s"), name=one["name"])
    going_on = batches.look(batch.results)
    ended = sum(one["state"] != batches.ASKED for one in batch.results.values())
    with ctx.write():
        Batch.objects.filter(pk=batch.pk).update(results=batch.results)
        if not going_on:
            _tell(ctx, batch)
    if going_on:
        ctx.progress(0.5 + 0.5 * ended / len(batch.results))
        raise NotYet(LOOK_EVERY, N_("%(ended)s of %(all)s machines are done"), ended=ended, all=len(batch.results))


def actor_of(batch: Batch, *, correlation: str = "") -> Actor:
    """Who asked, by the token that they asked by."""
    user = User.objects.get(pk=batch.owner_id)
    token = Token(batch.token, Scope.of(batch.scope)) if batch.token else None
    return Actor(user=user, name=user.username, correlation=correlation, token=token)


def _ask(actor: Actor, verb: str, pk: str) -> dict[str, object]:
    """What is to be noted for the machine."""
    try:
        with transaction.atomic():
            job = batches.VERBS[verb](actor=actor, vm=find(actor, VirtualMachine, pk))
    except BerthError as error:
        return {"state": batches.REFUSED, "error": error.as_dict()}
    return {"state": batches.ASKED, "job": str(job.pk)}


def _tell(ctx: Context, batch: Batch) -> None:
    bad = sum(one["state"] in (batches.REFUSED, batches.FAILED) for one in batch.results.values())
    record(
        "batch.ended", actor=JobActor(ctx.job), subject=batch, severity="warning" if bad else "info",
        message=N_("%(verb)s: %(good)s machines done, %(bad)s not"), verb=batch.verb,
        good=len(batch.results) - bad, bad=bad,
    )  # fmt: skip


register(
    Plan(
        "batch.run",
        N_("Do it to several machines"),
        "batch",
        (
            Step("run", run, N_("Ask each machine and wait for it"),
                 no_undo="Each machine's job ends and is taken back by itself; who cancels stops asking further ones."),
        ),
    )
)  # fmt: skip
