"""Give a machine a PCI or USB device of its host."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.virt import host_devices, pending
from broker.virt.asking import require_idle, require_usable
from broker.virt.models import DeviceUse, HostDevice, VirtualMachine


@transaction.atomic
def attach_device(*, actor: Actor, vm: VirtualMachine, device: HostDevice, now: bool = True) -> DeviceUse:
    """Returns what the machine has of it. One that is off has it from its next start on, and so has one that runs: of
    USB, a job plugs it in before that (`now`). From then on it stays on that host.
    Raises Missing, Denied, Conflict or Busy.
    """
    require(actor, "device.use", device)
    require(actor, "vm.edit", vm)
    vm = VirtualMachine.objects.select_for_update().get(pk=vm.pk)
    device = HostDevice.objects.select_for_update(of=("self",)).select_related("host").get(pk=device.pk)
    require_usable(vm)
    if DeviceUse.objects.filter(vm=vm, device=device).exists() or vm.devices.count() >= host_devices.MOST:
        raise Conflict(
            N_("%(name)s has %(device)s already, or as many devices as it may."), rule="device.once",
            fix=N_("Take one from it first."), name=vm.name, device=device.name,
        )  # fmt: skip
    host_devices.require_fit(device)
    host_devices.require_same_host(vm, device)
    off = pending.is_off(vm)
    if off:
        require_idle(vm)
    else:
        host_devices.require_free(vm, device)
    use = DeviceUse(vm=vm, device=device, plugged=off)
    use.save(force_insert=True)
    record(
        "vm.device.asked", actor=actor, subject=vm, name=vm.name, device=device.name, host=device.host.name,
        message=N_("%(name)s gets the device %(device)s of %(host)s"),
    )  # fmt: skip
    publish("vm", vm.pk, "changed")
    if not off:
        pending.keep_part(use, {"plug": True}, actor=actor)
        if now and vm.power_state in pending.UP:
            enqueue("vm.change", actor=actor, subject=vm)
    return use
