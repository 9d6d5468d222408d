"""Save a machine's memory to disk and stop it."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.jobs.models import Job
from broker.virt import host_devices
from broker.virt.asking import power_job
from broker.virt.driver import PowerState
from broker.virt.models import VirtualMachine

WHEN = (PowerState.RUNNING,)


@transaction.atomic
def suspend_vm(*, actor: Actor, vm: VirtualMachine) -> Job:
    """Ask for it; returns the job. Raises Missing, Denied, Conflict (power state, devices of its host) or Busy."""
    require(actor, "vm.power", vm)
    host_devices.require_none(vm)
    return power_job(actor=actor, vm=vm, plan="vm.suspend", when=WHEN, message=N_("Suspend of %(name)s was asked for"))
