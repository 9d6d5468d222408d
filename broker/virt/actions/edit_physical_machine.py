"""Change where a physical PC is and how it is reached, or take it out of service."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names, own, rows
from broker.virt.models import PhysicalMachine, VirtualMachine
from broker.virt.physical import observe, rules

_ELSEWHERE = ("address", "vnc_port", "rdp_port", "probe_port", "maintenance")
"""What was seen of it says nothing any more once one of these is another."""


@transaction.atomic
def edit_physical_machine(
    *,
    actor: Actor,
    pc: PhysicalMachine,
    name: str | None = None,
    title: str | None = None,
    notes: str | None = None,
    tags: Sequence[str] | None = None,
    maintenance: bool | None = None,
    **values: Any,
) -> PhysicalMachine:
    """Write what is given (None: leave); `values`: further arguments of create_physical_machine.

    Ports of 0 are none; a PC that goes elsewhere keeps no password that was meant for its old place, unless one comes
    along. In `maintenance` nobody opens or wakes it, and who is at its screen is sent away by the gateway.
    Raises Missing, Denied, Invalid or Conflict (the name is taken).
    """
    require(actor, "host.manage", pc)
    pc = PhysicalMachine.objects.select_related("vm").get(pk=pc.pk)
    vm = VirtualMachine.objects.select_for_update().get(pk=pc.pk)
    given = {field: value for field, value in values.items() if value is not None}
    wanted = rules.checked(given | ({} if maintenance is None else {"maintenance": maintenance}))
    changed = {field: value for field, value in wanted.items() if getattr(pc, field) != value}
    if "address" in changed and "vnc_secret" not in wanted and pc.vnc_secret:
        changed["vnc_secret"] = ""
    rules.require_a_way(**{"vnc_port": pc.vnc_port, "rdp_port": pc.rdp_port, **changed})
    noted = {
        "name": None if name is None else names.name(name),
        "title": None if title is None else names.title(title),
        "notes": None if notes is None else names.description(notes, field="notes"),
    }
    other = {field for field, value in noted.items() if value is not None and getattr(vm, field) != value}
    rows.change(vm, noted)
    other |= own.write(vm, tags=tags)
    if changed:
        PhysicalMachine.objects.filter(pk=pc.pk).update(**changed)
        pc = PhysicalMachine.objects.select_related("vm").get(pk=pc.pk)
        if changed.keys() & set(_ELSEWHERE):
            observe.forget(pc)
    if changed or other:
        fields = sorted(other | {"vnc_password" if field == "vnc_secret" else field for field in changed})
        record(
            "vm.physical.changed", actor=actor, subject=vm, message=N_("%(name)s was changed: %(fields)s"),
            name=vm.name, fields=", ".join(fields),
        )  # fmt: skip
        publish("vm", vm.pk, "changed")
    return PhysicalMachine.objects.select_related("vm").get(pk=pc.pk)
