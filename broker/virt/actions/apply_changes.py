"""Try once more to give a running machine what was noted for its next start."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.jobs.models import Job
from broker.virt import pending, quotas
from broker.virt.asking import power_job
from broker.virt.models import VirtualMachine


@transaction.atomic
def apply_changes(*, actor: Actor, vm: VirtualMachine) -> Job:
    """Ask for it; returns the job. Raises Missing, Denied, Conflict (nothing is noted, or its power state), OverQuota
    or Busy.
    """
    require(actor, "vm.edit", vm)
    row = pending.of(vm)
    if row is None:
        raise Conflict(
            N_("Nothing is noted for the next start of %(name)s."), rule="pending.there",
            fix=N_("Change the machine first."), name=vm.name,
        )  # fmt: skip
    sizes = {size: row.values.get(size, 0) for size in ("vcpus", "memory_mib")}
    quotas.claim_growth(actor, vm, **sizes)
    return power_job(
        actor=actor, vm=vm, plan="vm.change", when=pending.UP,
        message=N_("It was asked for what is noted for the next start of %(name)s to be tried now"),
    )  # fmt: skip
