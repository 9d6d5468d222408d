"""A desktop that somebody has, brought up: what allocating and serving the queue end with."""

from dataclasses import dataclass
from typing import Literal

from broker.access.actor import Actor
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE
from broker.virt.actions.resume_vm import resume_vm
from broker.virt.actions.start_vm import start_vm
from broker.virt.driver import PowerState

from .holding import BRINGING_UP
from .models import Desktop


@dataclass(frozen=True, slots=True)
class Allocation:
    """A desktop that is the user's now. `job` brings it up while it is "starting"."""

    desktop: Desktop
    state: Literal["ready", "starting"]
    job: Job | None = None


def bring_up(actor: Actor, desktop: Desktop) -> Allocation:
    """The desktop as it is, started or resumed if need be."""
    vm = desktop.vm
    if vm.power_state == PowerState.RUNNING:
        return Allocation(desktop, "ready")
    job = Job.objects.filter(subject_kind="vm", subject_id=vm.pk, state__in=ACTIVE).first()
    if job is None or job.plan not in BRINGING_UP:
        wakener = resume_vm if vm.power_state == PowerState.PAUSED else start_vm
        # It belongs to taking the desktop, so a token that may take one needs not be one that may start machines.
        job = wakener(actor=actor.without_scope(), vm=vm)  # raises Busy while another job has the machine
    return Allocation(desktop, "starting", job)
