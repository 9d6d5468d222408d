"""Delete a machine with its disks."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt.asking import require_unprotected
from broker.virt.cloning import require_not_copied
from broker.virt.models import VirtualMachine
from broker.virt.states import VM


@transaction.atomic
def delete_vm(*, actor: Actor, vm: VirtualMachine) -> Job:
    """Enqueue it; a running machine is powered off. Raises Missing, Denied, Conflict or Busy."""
    require(actor, "vm.delete", vm)
    require_unprotected(vm)
    require_not_copied(vm)
    was = vm.state
    VM.move(vm, "delete")
    record("vm.delete.asked", actor=actor, subject=vm, message=N_("Deletion of %(name)s was asked for"), name=vm.name)
    publish("vm", vm.pk, "deleting")
    return enqueue("vm.delete", actor=actor, subject=vm, args={"was": was})
