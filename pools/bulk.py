"""One verb for a group of desktops: each is asked for, authorised and refused by itself."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import find
from broker.connections.actions import end_session, send_message
from broker.connections.models import Session
from broker.core.errors import BerthError, Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.virt.actions.reboot_vm import reboot_vm
from broker.virt.actions.shutdown_vm import shutdown_vm
from broker.virt.models import VirtualMachine

from .actions.release import release
from .models import Desktop

MOST = 200


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it for one machine; `error` None means that it was accepted."""

    id: UUID
    name: str
    error: BerthError | None = None


def act(*, actor: Actor, verb: str, machines: Iterable[UUID], text: str = "") -> list[Outcome]:
    """Do `verb` (a key of VERBS) to each machine; what one refuses keeps no other from it. `text` is a message's.

    Raises Invalid for an unknown verb, no machine or too many.
    """
    wanted = list(dict.fromkeys(machines))
    if verb not in VERBS:
        raise Invalid(
            N_("There is no such action for several desktops."), field="verb",
            fix=N_("Use one of: %(verbs)s."), verbs=", ".join(VERBS),
        )  # fmt: skip
    if not 1 <= len(wanted) <= MOST:
        raise Invalid(N_("Choose 1 to %(most)s desktops."), field="ids", fix=N_("Do it in parts."), most=MOST)
    return [_one(actor, verb, pk, text) for pk in wanted]


def _one(actor: Actor, verb: str, pk: UUID, text: str) -> Outcome:
    name = str(pk)
    try:
        vm = find(actor, VirtualMachine, pk)
        name = vm.name
        with transaction.atomic():
            VERBS[verb](actor, vm, text)
    except BerthError as error:
        return Outcome(pk, name, error)
    return Outcome(pk, name)


def _give_back(actor: Actor, vm: VirtualMachine, text: str) -> None:
    desktop = Desktop.objects.select_related("pool", "holder", "vm").filter(pk=vm.pk).first()
    if desktop is None:
        raise Conflict(N_("%(name)s belongs to no pool."), rule="desktop.pool", fix=N_("Leave it out."), name=vm.name)
    release(actor=actor, desktop=desktop)


def _people_at(vm: VirtualMachine) -> list[Session]:
    rows = list(Session.objects.live().own().filter(vm=vm).select_related("vm", "user"))
    if not rows:
        raise Conflict(
            N_("Nobody is at the screen of %(name)s."), rule="console.somebody-there", fix=N_("Leave it out."),
            name=vm.name,
        )  # fmt: skip
    return rows


def _message(actor: Actor, vm: VirtualMachine, text: str) -> None:
    for session in {row.user_id: row for row in _people_at(vm)}.values():
        send_message(actor=actor, session=session, text=text)


def _end(actor: Actor, vm: VirtualMachine, text: str) -> None:
    for session in _people_at(vm):
        end_session(actor=actor, session=session)


VERBS: dict[str, Callable[[Actor, VirtualMachine, str], Any]] = {
    "restart": lambda actor, vm, text: reboot_vm(actor=actor, vm=vm),
    "shut-down": lambda actor, vm, text: shutdown_vm(actor=actor, vm=vm),
    "give-back": _give_back,
    "message": _message,
    "end": _end,
}
