"""Put a machine back to a snapshot: what was written since is dropped."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import quotas
from broker.virt.asking import require_usable
from broker.virt.disk_rules import require_kept
from broker.virt.models import Snapshot
from broker.virt.swaps import swap_args


@transaction.atomic
def revert_snapshot(*, actor: Actor, snapshot: Snapshot, start: bool = False) -> Job:
    """Enqueue it. A running machine is powered off first; one with memory goes on where it was when it was taken.

    `start`: start one without memory afterwards. Snapshots taken later stay.
    Raises Missing, Denied, Conflict, OverQuota or Busy.
    """
    vm = snapshot.vm
    require(actor, "vm.edit", vm)
    require_usable(vm)
    require_kept(vm)
    args = swap_args(snapshot, start=start)
    if start or snapshot.memory:
        quotas.claim_start(actor, vm)
    record(
        "vm.revert.asked", actor=actor, subject=vm,
        message=N_("Putting %(machine)s back to %(name)s was asked for"), machine=vm.name, name=snapshot.name,
    )  # fmt: skip
    publish("vm", vm.pk, "asked")
    return enqueue("vm.revert", actor=actor, subject=vm, args=args)
