"""Asking for a physical PC to be woken: what starting a machine means for one."""

from broker.access.actor import Actor
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.jobs.models import Job
from broker.virt.asking import power_job, require_power
from broker.virt.driver import PowerState
from broker.virt.models import PhysicalMachine, VirtualMachine

WHEN = (PowerState.OFF,)


def wake(actor: Actor, vm: VirtualMachine) -> Job:
    """Enqueue it; the right was asked for. Raises Conflict (it is on, in maintenance, or its card is not known) or
    Busy."""
    pc = PhysicalMachine.objects.get(pk=vm.pk)
    require_in_service(pc)
    require_power(vm, WHEN)
    if not pc.mac:
        raise Conflict(
            N_("%(name)s cannot be woken: the address of its network card is not known."),
            rule="physical.mac",
            about=vm,
            fix=N_("Switch it on at its button, or have its MAC address added."),
            name=vm.name,
        )
    return power_job(
        actor=actor, vm=vm, plan="vm.wake", when=WHEN, message=N_("Waking of %(name)s was asked for"), physical=True
    )


def require_in_service(pc: PhysicalMachine) -> None:
    """Raise Conflict for a PC in maintenance."""
    if pc.maintenance:
        raise Conflict(
            N_("%(name)s is in maintenance."), rule="physical.maintenance", about=pc.vm,
            fix=N_("Wait until it is back in service."), name=pc.vm.name,
        )  # fmt: skip
