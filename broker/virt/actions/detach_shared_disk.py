"""Take a shared disk away from a machine, also while it runs. The disk stays, and so does what is on it."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.virt import pending
from broker.virt.asking import require_idle, require_usable
from broker.virt.models import DiskShare, VirtualMachine


@transaction.atomic
def detach_shared_disk(*, actor: Actor, share: DiskShare, now: bool = True) -> None:
    """At once while the machine is off, or when it was never plugged in. Else (`now`) a job asks the guest to let it
    go; when it does not, its next start leaves it out. Raises Missing, Denied, Conflict or Busy.
    """
    require(actor, "vm.edit", share.vm)
    vm = VirtualMachine.objects.select_for_update().get(pk=share.vm_id)
    require_usable(vm)
    record(
        "vm.disk.unshare.asked", actor=actor, subject=vm, target=share.target, disk=share.disk.name, name=vm.name,
        message=N_("The shared disk %(disk)s of %(name)s was to go"),
    )  # fmt: skip
    publish("vm", vm.pk, "changed")
    publish("disk", share.disk_id, "changed")
    if pending.is_off(vm) or not share.plugged:
        require_idle(vm)
        pending.keep_part(share, None, actor=actor)
        share.delete()
        return
    pending.keep_part(share, {"gone": True}, actor=actor)
    if now and vm.power_state in pending.UP:
        enqueue("vm.change", actor=actor, subject=vm)
