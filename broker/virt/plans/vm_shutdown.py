"""vm.shutdown: the power button first, then the guest agent; after a stated time the job gives up.

args: `agent_after` and `give_up_after`, seconds since the first press. Power is never cut here: that is
another verb, and whoever asked is told of it.
"""

from datetime import datetime, timedelta
from typing import ClassVar

from broker.core import clock
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.jobs.context import Context
from broker.jobs.plans import NotYet, Plan, Step, register
from broker.virt import work
from broker.virt.driver import Locked, NotFound, PowerState, Refused
from broker.virt.models import VirtualMachine

# A press while the firmware runs is lost; systems that are shutting down ignore further ones.
PRESS_EVERY = 5.0
GONE = (PowerState.OFF, PowerState.CRASHED, PowerState.MISSING, PowerState.SUSPENDED)


class StillRunning(Conflict):
    """The guest was asked and did not go."""

    code: ClassVar[str] = "still-running"


def ask(ctx: Context) -> None:
    vm, now = work.machine(ctx), clock.now()
    if work.observe(ctx, vm).power in GONE:
        return
    with ctx.write():
        VirtualMachine.objects.filter(pk=vm.pk).update(shutdown_asked_at=now)
        ctx.save(asked=now.isoformat(), pressed=now.isoformat())
    _press(ctx, vm)


def _press(ctx: Context, vm: VirtualMachine) -> None:
    try:
        work.line(ctx, vm).shutdown(str(vm.pk), via="acpi")
    except (Refused, NotFound):
        pass  # it went off between the look and the press: the next look tells


def wait(ctx: Context) -> None:
    vm = work.machine(ctx)
    if work.observe(ctx, vm).power in GONE:
        work.tell(ctx, vm, "vm.shut-down", N_("%(name)s was shut down"))
        return
    now, asked = clock.now(), datetime.fromisoformat(ctx.args.get("asked") or clock.now().isoformat())
    waited = (now - asked).total_seconds()
    if waited >= ctx.args.get("give_up_after", 60):
        raise StillRunning(
            N_("%(name)s did not shut down within %(seconds)s seconds."),
            fix=N_(
                "Save your work in it and shut it down from inside, or power it off: that is like pulling the plug."
            ),
            name=vm.name,
            seconds=int(waited),
        )
    _remind(ctx, vm, now, waited)
    raise NotYet(min(0.25 + waited / 8, 1.0), N_("Waiting for the guest to shut down"))


def _remind(ctx: Context, vm: VirtualMachine, now: datetime, waited: float) -> None:
    if waited >= ctx.args.get("agent_after", 20):
        if not ctx.args.get("agent_asked"):
            ctx.save(agent_asked=True)
            try:
                work.line(ctx, vm).shutdown(str(vm.pk), via="agent")
            except (Refused, Locked, NotFound):
                pass  # no agent in this guest: the button was all there was
    elif now - datetime.fromisoformat(ctx.args.get("pressed", now.isoformat())) >= timedelta(seconds=PRESS_EVERY):
        ctx.save(pressed=now.isoformat())
        _press(ctx, vm)


register(
    Plan(
        "vm.shutdown",
        N_("Shut down"),
        "vm",
        (
            Step(
                "ask", ask, N_("Press the power button"), probe=lambda ctx: bool(ctx.args.get("asked")),
                no_undo="A request to the guest cannot be taken back.",
            ),
            Step(
                "wait", wait, N_("Wait for the guest"), probe=work.told("vm.shut-down"),
                no_undo="Only looks, and asks again.",
            ),
        ),
    )
)  # fmt: skip
