"""Have a machine look at a snapshot: it starts from there, and what it had before is set aside."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import quotas
from broker.virt.asking import require_power, require_usable
from broker.virt.disk_rules import require_kept
from broker.virt.driver import PowerState
from broker.virt.models import Snapshot
from broker.virt.swaps import swap_args

OFF = (PowerState.OFF, PowerState.CRASHED)


@transaction.atomic
def preview_snapshot(*, actor: Actor, snapshot: Snapshot, memory: bool = False, start: bool = False) -> Job:
    """Enqueue it; commit_preview or undo_preview ends it. Until then its disks and snapshots are not changed otherwise.

    `memory`: go on where it was, if the snapshot has its memory. `start`: else start it.
    Raises Missing, Denied, Conflict (it has to be off), OverQuota or Busy.
    """
    vm = snapshot.vm
    require(actor, "vm.edit", vm)
    require_usable(vm)
    require_power(vm, OFF)
    require_kept(vm)
    wake = bool(memory and snapshot.memory)
    args = swap_args(snapshot, start=start and not wake)
    if start or wake:
        quotas.claim_start(actor, vm)
    record(
        "vm.preview.asked", actor=actor, subject=vm,
        message=N_("A look at the snapshot %(name)s of %(machine)s was asked for"), machine=vm.name, name=snapshot.name,
    )  # fmt: skip
    publish("vm", vm.pk, "asked")
    return enqueue("vm.revert", actor=actor, subject=vm, args={**args, "keep": True, "wake": wake})
