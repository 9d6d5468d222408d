"""Forget what was noted for a machine's next start."""

from collections.abc import Collection

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import pending
from broker.virt.asking import require_idle
from broker.virt.models import VirtualMachine


@transaction.atomic
def undo_changes(*, actor: Actor, vm: VirtualMachine, fields: Collection[str] | None = None) -> VirtualMachine:
    """All of it, or the `fields` (a card by its id). What is not noted is no error. Raises Missing, Denied or Busy."""
    require(actor, "vm.edit", vm)
    require_idle(vm)
    undone = pending.undo(vm, fields)
    if undone:
        record(
            "vm.change-undone", actor=actor, subject=vm,
            message=N_("A change of %(name)s for its next start was undone: %(fields)s"),
            name=vm.name, fields=", ".join(sorted(undone)),
        )  # fmt: skip
        publish("vm", vm.pk, "changed")
    return vm
