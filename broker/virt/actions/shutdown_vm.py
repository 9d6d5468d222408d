"""Ask a machine's guest to shut down: the power button first, the guest agent later, and never by force."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.jobs.models import Job
from broker.virt import names
from broker.virt.asking import power_job
from broker.virt.driver import PowerState
from broker.virt.models import VirtualMachine

WHEN = (PowerState.RUNNING,)


@transaction.atomic
def shutdown_vm(*, actor: Actor, vm: VirtualMachine, agent_after: int = 20, give_up_after: int = 60) -> Job:
    """Ask for it; returns the job. After `agent_after` seconds the guest agent is asked too, and after

    `give_up_after` seconds the job fails, saying that power-off is left. Raises Missing, Denied, Invalid,
    Conflict (not running) or Busy.
    """
    require(actor, "vm.power", vm)
    args = {
        "agent_after": names.number(agent_after, field="agent_after", least=0, most=3600),
        "give_up_after": names.number(give_up_after, field="give_up_after", least=1, most=3600),
    }
    message = N_("Shutdown of %(name)s was asked for")
    return power_job(actor=actor, vm=vm, plan="vm.shutdown", when=WHEN, message=message, args=args)
