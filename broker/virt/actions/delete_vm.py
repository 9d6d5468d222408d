"""Delete a machine with its disks, or keep those as disks of no machine."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import quotas
from broker.virt.asking import require_unprotected, require_virtual
from broker.virt.cloning import require_not_copied
from broker.virt.disk_rules import require_keepable
from broker.virt.models import VirtualMachine
from broker.virt.states import VM


@transaction.atomic
def delete_vm(*, actor: Actor, vm: VirtualMachine, keep_disks: bool = False) -> Job:
    """Enqueue it; a running machine is powered off.

    `keep_disks`: all of them, also the one it starts from, become disks of no machine under their ids, and belong to
    the actor, who needs the right to change the machine, too. The job refuses one that lies on a template's image.
    Raises Missing, Denied, Conflict, OverQuota or Busy.
    """
    require(actor, "vm.delete", vm)
    if keep_disks:
        require(actor, "vm.edit", vm)
    require_virtual(vm)
    require_unprotected(vm)
    if keep_disks:
        require_keepable(vm)
        size = sum(vm.disks.values_list("size_bytes", flat=True))
        quotas.claim_disk_of(actor, actor.user_id, vm.cluster_id, size=size, subject=vm, before=vm.owner_id)
    require_not_copied(vm)
    was = vm.state
    VM.move(vm, "delete")
    record(
        "vm.delete.asked", actor=actor, subject=vm, name=vm.name,
        message=N_("Deletion of %(name)s without its disks was asked for") if keep_disks
        else N_("Deletion of %(name)s was asked for"),
    )  # fmt: skip
    publish("vm", vm.pk, "deleting")
    kept = {"keep": {"owner": str(actor.user_id or "")}} if keep_disks else {}
    return enqueue("vm.delete", actor=actor, subject=vm, args={"was": was, **kept})
