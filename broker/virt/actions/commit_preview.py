"""Keep the state of the snapshot that a machine looks at; what it had before is dropped."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.jobs.models import Job
from broker.virt.models import VirtualMachine
from broker.virt.previews import end_job


@transaction.atomic
def commit_preview(*, actor: Actor, vm: VirtualMachine) -> Job:
    """Enqueue it. A running machine goes on. Raises Missing, Denied, Conflict or Busy."""
    require(actor, "vm.edit", vm)
    return end_job(
        actor=actor, vm=vm, commit=True,
        message=N_("Keeping the state of the snapshot %(name)s of %(machine)s was asked for"),
    )  # fmt: skip
