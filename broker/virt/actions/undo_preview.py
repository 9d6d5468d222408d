"""Go back from a snapshot that a machine looks at; what was written meanwhile is dropped."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.jobs.models import Job
from broker.virt.models import VirtualMachine
from broker.virt.previews import end_job


@transaction.atomic
def undo_preview(*, actor: Actor, vm: VirtualMachine) -> Job:
    """Enqueue it. A running machine is powered off. Raises Missing, Denied, Conflict or Busy."""
    require(actor, "vm.edit", vm)
    return end_job(
        actor=actor, vm=vm, commit=False,
        message=N_("Going back from the snapshot %(name)s of %(machine)s was asked for"),
    )  # fmt: skip
