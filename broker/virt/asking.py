"""What the power verbs share: the checks, the event and the job, in the house's order."""

from collections.abc import Collection
from typing import Any

from broker.access.actor import Actor
from broker.core.errors import Busy, Conflict, Reason
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job

from .driver import PowerState
from .models import FloatingDisk, VirtualMachine
from .queries import active_jobs
from .states import VM


def power_job(
    *,
    actor: Actor,
    vm: VirtualMachine,
    plan: str,
    when: Collection[str],
    message: str,
    args: dict[str, Any] | None = None,
    physical: bool = False,
) -> Job:
    """Enqueue a power verb, allowed in the power states `when`; raises Conflict or Busy. `physical`: a PC has it, too.

    Call inside a transaction, when the right was asked for. `message` tells of the request: a template over `name`.
    """
    require_usable(vm, physical=physical)
    require_power(vm, when)
    record(f"{plan}.asked", actor=actor, subject=vm, message=message, name=vm.name)
    publish("vm", vm.pk, "asked")
    return enqueue(plan, actor=actor, subject=vm, args=args)


def require_usable(vm: VirtualMachine, *, physical: bool = False) -> None:
    """Raise Conflict unless the machine is there and whole; and for a PC, unless `physical` ones can do it as well."""
    if not physical:
        require_virtual(vm)
    if not VM.is_(vm.state, "usable"):
        raise Conflict(
            N_("%(name)s is %(state)s."),
            rule="machine.usable",
            fix=N_("Wait until it is ready, or look at its page for what is wrong."),
            reasons=(_looked(vm, "machine.usable", N_("it is %(state)s"), state=vm.state),),
            name=vm.name,
            state=vm.state,
        )


def require_virtual(vm: VirtualMachine) -> None:
    """Raise Conflict for a PC that no hypervisor runs: Berth has nothing there that could do more."""
    if vm.is_physical:
        raise Conflict(
            N_("%(name)s is a physical PC: Berth wakes it and opens its screen, no more."),
            rule="machine.virtual",
            fix=N_("Do it in the PC's own system, or at the PC."),
            reasons=(_looked(vm, "machine.virtual", N_("no hypervisor runs it")),),
            name=vm.name,
        )


def require_idle(row: VirtualMachine | FloatingDisk) -> None:
    """Raise Busy while a job works on it."""
    if job := active_jobs(row.access_kind, [row.pk]).get(row.pk):
        raise Busy(
            N_("%(name)s is busy: %(job)s."), fix=N_("Wait until that is done, or cancel it."), name=row.name,
            job=job.title,
        )  # fmt: skip


def require_unprotected(vm: VirtualMachine) -> None:
    """Raise Conflict for a machine that somebody protected against being deleted."""
    if vm.protected:
        raise Conflict(
            N_("%(name)s is protected against being deleted."),
            rule="vm.protected",
            about=vm,
            fix=N_("Take the protection away on its page first."),
            name=vm.name,
        )


def require_power(vm: VirtualMachine, when: Collection[str]) -> None:
    """Raise Conflict unless its last seen power state is one of `when`; an unknown one is let through to its host."""
    if vm.power_state in when or vm.power_state == PowerState.UNKNOWN:
        return
    fixes = {
        PowerState.OFF: N_("It is off: start it first."),
        PowerState.CRASHED: N_("It crashed: start it first."),
        PowerState.MISSING: N_("Its host does not know it any more: start it, and it is defined again."),
        PowerState.RUNNING: N_("It is running: shut it down first."),
        PowerState.PAUSED: N_("It is paused: resume it, or power it off."),
        PowerState.SUSPENDED: N_("It is suspended: start it, or power it off to drop the saved memory."),
    }
    raise Conflict(
        N_("%(name)s is %(power)s; that cannot be done now."),
        rule="power.state",
        fix=fixes[PowerState(vm.power_state)],
        reasons=(_looked(vm, "power.state", N_("it is %(power)s"), power=vm.power_state),),
        name=vm.name,
        power=vm.power_state,
    )


def _looked(vm: VirtualMachine, rule: str, message: str, **params: str) -> Reason:
    return Reason(vm.name, rule, message, kind="vm", id=vm.pk, words=N_("not in the state that is needed"), **params)
