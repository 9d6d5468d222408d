"""Take a network card out of a machine, also while it runs."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.virt import pending
from broker.virt.asking import require_idle, require_usable
from broker.virt.models import Nic, VirtualMachine


@transaction.atomic
def delete_nic(*, actor: Actor, nic: Nic, now: bool = True) -> None:
    """At once while the machine is off, or when the card was never plugged in. Else (`now`) a job asks the guest to let
    it go; when it does not, its next start leaves it out. Raises Missing, Denied, Conflict or Busy.
    """
    require(actor, "vm.edit", nic.vm)
    vm = VirtualMachine.objects.select_for_update().get(pk=nic.vm_id)
    require_usable(vm)
    record(
        "vm.nic.removed", actor=actor, subject=vm, message=N_("The card %(mac)s of %(name)s was to go"), mac=nic.mac,
        name=vm.name,
    )  # fmt: skip
    publish("vm", vm.pk, "changed")
    if pending.is_off(vm) or not nic.plugged:
        require_idle(vm)
        pending.keep_part(nic, None, actor=actor)
        nic.delete()
        return
    pending.keep_part(nic, {"gone": True}, actor=actor)
    if now and vm.power_state in pending.UP:
        enqueue("vm.change", actor=actor, subject=vm)
