"""Forget a physical PC. Nothing happens at the PC itself."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt.asking import require_idle, require_unprotected
from broker.virt.models import PhysicalMachine, VirtualMachine


@transaction.atomic
def delete_physical_machine(*, actor: Actor, pc: PhysicalMachine) -> None:
    """Sessions at its screen end. Raises Missing, Denied, Conflict (it is protected, or in a pool) or Busy."""
    require(actor, "host.manage", pc)
    vm = VirtualMachine.objects.select_for_update().get(pk=pc.pk)
    require_unprotected(vm)
    require_idle(vm)
    if getattr(vm, "desktop", None) is not None:
        raise Conflict(
            N_("%(name)s is a desktop of a pool."), rule="vm.owner", about=vm,
            fix=N_("Remove it from the pool first."), name=vm.name,
        )  # fmt: skip
    record(
        "vm.physical.deleted", actor=actor, subject=vm, message=N_("The physical PC %(name)s was removed"), name=vm.name
    )
    VirtualMachine.objects.filter(pk=vm.pk).delete()
    publish("vm", pc.pk, "deleted")
