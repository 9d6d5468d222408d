"""Start a machine, bring a suspended one back, or wake a physical PC."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.jobs.models import Job
from broker.jobs.runner import UNTOLD
from broker.virt import host_devices, pending, quotas
from broker.virt.asking import power_job, require_power, require_usable
from broker.virt.driver import PowerState
from broker.virt.models import VirtualMachine
from broker.virt.physical.waking import wake

WHEN = (PowerState.OFF, PowerState.SUSPENDED, PowerState.CRASHED, PowerState.MISSING)


@transaction.atomic
def start_vm(*, actor: Actor, vm: VirtualMachine, untold: bool = False) -> Job:
    """Ask for it; returns the job. `untold`: whoever asks looks after it, and tells if it fails for good.

    Raises Missing, Denied, Conflict (its power state), OverQuota or Busy.
    """
    require(actor, "vm.power", vm)
    if vm.is_physical:
        return wake(actor, vm)
    require_usable(vm)
    require_power(vm, WHEN)
    if pending.is_off(vm):
        pending.fold(vm)
    host_devices.require_startable(vm)
    quotas.claim_start(actor, vm)
    return power_job(
        actor=actor, vm=vm, plan="vm.start", when=WHEN, message=N_("Start of %(name)s was asked for"),
        args={UNTOLD: True} if untold else None,
    )  # fmt: skip
