"""Do one thing to several machines, as one job with a result for each."""

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import visible_to
from broker.core.errors import Denied, Invalid, Missing
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import batches
from broker.virt.models import Batch, VirtualMachine


@transaction.atomic
def act_on_machines(*, actor: Actor, verb: str, machines: Iterable[UUID]) -> Job:
    """`verb` is a key of batches.VERBS. Returns the job, whose subject is the Batch with the results.

    What one machine refuses keeps no other from it. Raises Invalid for an unknown verb, no machine or too many,
    Missing when one is not to be seen, Denied without the right on any of them.
    """
    if actor.user is None:
        raise Denied(N_("This is done for somebody who signed in."), fix=N_("Sign in first."))
    wanted = list(dict.fromkeys(machines))
    if verb not in batches.VERBS:
        raise Invalid(
            N_("There is no such action for several machines."), field="verb", fix=N_("Use one of: %(verbs)s."),
            verbs=", ".join(batches.VERBS),
        )  # fmt: skip
    if not 1 <= len(wanted) <= batches.MOST:
        raise Invalid(
            N_("Choose 1 to %(most)s machines."), field="machines", fix=N_("Do it in parts."), most=batches.MOST
        )
    names = dict(visible_to(actor, VirtualMachine.objects.filter(pk__in=wanted)).values_list("pk", "name"))
    if len(names) < len(wanted):
        raise Missing(
            N_("There is no such object."), fix=N_("Go back to the list; it may have been removed, or is not yours.")
        )
    right = batches.right_of(verb)
    if not visible_to(actor, VirtualMachine.objects.filter(pk__in=wanted), right).exists():
        raise Denied(
            N_("You may not do this (%(verb)s)."),
            fix=N_("Ask an administrator for a role that includes it."),
            verb=right,
        )
    results = {str(pk): {"name": names[pk], "state": batches.WAITING} for pk in wanted}
    batch = Batch.objects.create(
        verb=verb, owner_id=actor.user.pk, results=results, token=actor.token.name if actor.token else "",
        scope=actor.scope.as_dict() if actor.scope else None,
    )  # fmt: skip
    record("batch.asked", actor=actor, subject=batch, message=N_("%(verb)s was asked of %(count)s machines"),
           verb=verb, count=len(wanted))  # fmt: skip
    return enqueue("batch.run", actor=actor, subject=batch)
