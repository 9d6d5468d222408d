"""Take a device of the host from a machine."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.virt import pending
from broker.virt.asking import require_idle, require_usable
from broker.virt.models import DeviceUse, VirtualMachine


@transaction.atomic
def detach_device(*, actor: Actor, use: DeviceUse, now: bool = True) -> None:
    """At once while the machine is off, or when it was never plugged in. Else (`now`) a job asks the guest to let it
    go; when it does not, its next start leaves it out. Raises Missing, Denied, Conflict or Busy.
    """
    require(actor, "vm.edit", use.vm)
    vm = VirtualMachine.objects.select_for_update().get(pk=use.vm_id)
    require_usable(vm)
    record(
        "vm.device.removed", actor=actor, subject=vm, name=vm.name, device=use.device.name,
        message=N_("The device %(device)s of %(name)s was to go"),
    )  # fmt: skip
    publish("vm", vm.pk, "changed")
    if pending.is_off(vm) or not use.plugged:
        require_idle(vm)
        pending.keep_part(use, None, actor=actor)
        use.delete()
        return
    pending.keep_part(use, {"gone": True}, actor=actor)
    if now and vm.power_state in pending.UP:
        enqueue("vm.change", actor=actor, subject=vm)
