"""Press a machine's reset button."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.jobs.models import Job
from broker.virt.asking import power_job
from broker.virt.driver import PowerState
from broker.virt.models import VirtualMachine

WHEN = (PowerState.RUNNING, PowerState.PAUSED)


@transaction.atomic
def reset_vm(*, actor: Actor, vm: VirtualMachine) -> Job:
    """Ask for it; returns the job. Raises Missing, Denied, Conflict (its power state) or Busy."""
    require(actor, "vm.power", vm)
    return power_job(actor=actor, vm=vm, plan="vm.reset", when=WHEN, message=N_("Reset of %(name)s was asked for"))
