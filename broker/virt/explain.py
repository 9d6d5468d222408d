"""Why would this machine not start? Asked without starting it: the checks are done, and all is taken back.

Nothing here changes anything: the action runs in a transaction that is always rolled back, so the answer is that of
the real thing, with every rule anybody has added to it.
"""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import BerthError
from broker.core.text import gettext_noop as N_
from broker.core.verdicts import Answer, Line, Table

from .actions.start_vm import start_vm
from .driver import PowerState
from .models import VirtualMachine
from .placement import Verdict
from .placement.choose import no_host
from .placement.gather import unfit_here, verdicts_on
from .placement.rules import all_filters
from .states import HOST

MOST_LINES = 50
_UP = (PowerState.RUNNING, PowerState.PAUSED)


class _Undone(Exception):
    """Raised to roll back what was only tried."""


def tried(act: Callable[[], Any]) -> tuple[Any, BerthError | None]:
    """What `act` gives, or how it is refused, with everything it wrote taken back; news of it is never sent."""
    found: list[Any] = []
    try:
        with transaction.atomic():
            found.append(act())
            raise _Undone
    except _Undone:
        return found[0], None
    except BerthError as error:
        return None, error


def explain_start(*, actor: Actor, vm: VirtualMachine) -> Answer:
    """What a start of `vm` would come to now, and what each rule says of each host. Raises Missing or Denied.

    A machine that is off stays with its host while that is in service and has what its hardware needs; only otherwise
    another is chosen.
    """
    require(actor, "vm.edit", vm)
    verdicts = verdicts_on(vm)
    table = host_table(verdicts, kept=vm)
    if vm.power_state in _UP:
        return Answer(N_("It runs already."), tables=(table,))
    _job, refusal = tried(lambda: start_vm(actor=actor, vm=vm))
    if refusal is not None:
        return Answer(refusal=refusal, tables=(table,))
    kept = _kept(vm, verdicts)
    chosen = next((verdict for verdict in verdicts if (verdict.host.id == vm.host_id if kept else True)), None)
    unfit = chosen is None or any(reason.rule == "reachable" or not kept for reason in chosen.refusals)
    if unfit:
        return Answer(refusal=no_host([chosen] if kept and chosen else verdicts), tables=(table,))
    assert chosen is not None
    return Answer(N_("It would start on %(host)s."), (("host", chosen.host.name),), tables=(table,))


def host_table(verdicts: Sequence[Verdict], *, kept: VirtualMachine | None = None) -> Table:
    """The hosts with the rules that refuse each."""
    stays = kept.host_id if kept is not None and _kept(kept, verdicts) else None
    lines = [_line(verdict, stays, best=index == 0) for index, verdict in enumerate(verdicts)]
    return Table.of("host", [rule.name for rule in all_filters()], lines, most=MOST_LINES)


def _line(verdict: Verdict, stays: UUID | None, *, best: bool) -> Line:
    host = verdict.host
    note = N_("the best") if best and not verdict.refusals else ""
    if host.id == stays:
        note = N_("stays here")
    return Line("host", str(host.id), host.name, verdict.refusals, note)


def _kept(vm: VirtualMachine, verdicts: Sequence[Verdict]) -> bool:
    """Whether it starts where it was, as vm.start has it."""
    if vm.host is None or not HOST.is_(vm.host.state, "schedulable"):
        return False
    return vm.power_state == PowerState.SUSPENDED or not unfit_here(vm, verdicts)
