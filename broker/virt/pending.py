"""What is wanted of a machine that its present run does not have: kept in one row, shown, applied by the next start.

The machine's own row (and those of its cards) says what it has; the definition on its host says the same. A change
that a run can take is made by the job vm.change, which moves it from here into those rows once QEMU says that it is so.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import BerthError
from broker.core.text import gettext_noop as N_
from broker.events.news import publish

from .driver import PowerState
from .machine_options import KNOWN
from .models import PendingChange, VirtualMachine
from .pending_parts import PARTS, Part, kind_of
from .screen_wishes import TITLES, waiting

HOT = ("vcpus", "memory_mib", "balloon_mib")  # what a run may take, of the machine itself
OFF = (PowerState.OFF, PowerState.CRASHED, PowerState.MISSING, PowerState.UNKNOWN)
UP = (PowerState.RUNNING, PowerState.PAUSED)
_OWN = {"vcpus": N_("Processors"), "memory_mib": N_("Memory in MiB")}


@dataclass(frozen=True, slots=True)
class Difference:
    """One line of the diff. `now` and `then`: None for a part that is not there. `reason`: why not at once.

    `kind` and `name` of a part: which of PARTS it is, and what tells it from its like.
    """

    field: str
    title: str
    now: Any
    then: Any
    reason: Mapping[str, Any] | None = None
    kind: str = ""
    name: str = ""


def is_off(vm: VirtualMachine) -> bool:
    """Whether what is changed counts at once, since nothing runs and no memory is saved."""
    return vm.power_state in OFF


def of(vm: VirtualMachine) -> PendingChange | None:
    return PendingChange.objects.filter(vm=vm).first()


def hardware(vm: VirtualMachine, row: PendingChange | None) -> dict[str, Any]:
    """`vcpus`, `memory_mib` and `options` as they will be."""
    after = {name: value for name, value in row.values.items() if name not in PARTS} if row else {}
    own = {name: after.pop(name, getattr(vm, name)) for name in _OWN}
    return {**own, "options": {**vm.options, **after}}


def keep(vm: VirtualMachine, values: Mapping[str, Any], *, actor: Actor) -> set[str]:
    """Note fields of the machine; what it has already is no change. Returns those that changed. In a transaction."""
    row = _locked(vm)
    before = dict(row.values)
    for name, value in values.items():
        present = getattr(vm, name) if name in _OWN else vm.options.get(name, KNOWN[name].default)
        row.values.pop(name, None)
        row.reasons.pop(name, None)
        if present != value:
            row.values[name] = value
    return _save(vm, row, before, actor)


def keep_part(part: Part, change: Mapping[str, Any] | None, *, actor: Actor) -> None:
    """Note a change of a part (None: none any more). In a transaction."""
    row, kind = _locked(part.vm), kind_of(part)
    before, noted = dict(row.values), parts_of(row)
    noted.setdefault(kind, {}).pop(str(part.pk), None)
    row.reasons.pop(str(part.pk), None)
    if change:
        noted[kind][str(part.pk)] = dict(change)
    _put(row, noted)
    _save(part.vm, row, before, actor)


def of_part(row: PendingChange | None, part: Part) -> dict[str, Any]:
    """What is noted of a part."""
    return dict(parts_of(row).get(kind_of(part), {}).get(str(part.pk), {}))


def parts_of(row: PendingChange | None) -> dict[str, dict[str, Any]]:
    """What is noted of parts: kind → id → change. A copy."""
    return {kind: dict(row.values[kind]) for kind in PARTS if kind in row.values} if row else {}


def _put(row: PendingChange, noted: Mapping[str, Mapping[str, Any]]) -> None:
    own = {name: value for name, value in row.values.items() if name not in PARTS}
    row.values = {**own, **{kind: dict(changes) for kind, changes in noted.items() if changes}}


def fold(vm: VirtualMachine) -> bool:
    """Make the machine's rows say what was noted, and forget the note; whether there was one. Only while it is off."""
    with transaction.atomic():
        row = PendingChange.objects.select_for_update().filter(vm=vm).first()
        if row is None:
            return False
        after = hardware(vm, row)
        VirtualMachine.objects.filter(pk=vm.pk).update(**after)
        for name, value in after.items():
            setattr(vm, name, value)
        for kind, changes in parts_of(row).items():
            for part in PARTS[kind].rows(vm, changes):
                settle_part(part, changes[str(part.pk)])
        row.delete()
        publish("vm", vm.pk, "changed")
        return True


def settle_part(part: Part, change: Mapping[str, Any]) -> None:
    """Write what was noted of a part into its row."""
    PARTS[kind_of(part)].settle(part, change)


def settle(vm: VirtualMachine, done: Mapping[str, Any], refused: Mapping[str, BerthError]) -> None:
    """After a try on the run: `done` fields (or parts' ids) with the values that were tried are noted no more, the
    `refused` stay with their reasons. In a transaction; what somebody noted anew meanwhile stays as they noted it.
    """
    row = PendingChange.objects.select_for_update().filter(vm=vm).first()
    if row is None:
        return
    noted = parts_of(row)
    for name, value in done.items():
        for place in (row.values, *noted.values()):
            if name not in PARTS and place.get(name) == value:
                del place[name]
                row.reasons.pop(name, None)
    _put(row, noted)
    for name, error in refused.items():
        if name in row.values or any(name in changes for changes in noted.values()):
            row.reasons[name] = error.as_dict()
    if row.values:
        row.save()
    else:
        row.delete()


def undo(vm: VirtualMachine, fields: Collection[str] | None = None) -> set[str]:
    """Forget what was noted: all of it, or these fields and parts. Returns which there were. In a transaction."""
    row = PendingChange.objects.select_for_update().filter(vm=vm).first()
    if row is None:
        return set()
    noted = parts_of(row)
    there = {*(row.values.keys() - PARTS.keys()), *(pk for changes in noted.values() for pk in changes)}
    dropped = there if fields is None else there & set(fields)
    for kind, changes in noted.items():
        for part in PARTS[kind].rows(vm, dropped & changes.keys()):
            if not getattr(part, "plugged", True):
                part.delete()
        noted[kind] = {pk: change for pk, change in changes.items() if pk not in dropped}
    row.values = {name: value for name, value in row.values.items() if name not in dropped}
    _put(row, noted)
    row.reasons = {name: reason for name, reason in row.reasons.items() if name not in dropped}
    if row.values:
        row.save()
    else:
        row.delete()
    return dropped


def differences(vm: VirtualMachine, row: PendingChange | None) -> list[Difference]:
    """The diff, now → at the next start: one query more for each kind of part that changes."""
    lines = [Difference(name, TITLES[name], now, then) for name, now, then in waiting(vm)]
    if row is None:
        return lines
    lines += [
        Difference(
            name,
            _OWN[name] if name in _OWN else KNOWN[name].title,
            getattr(vm, name) if name in _OWN else vm.options.get(name, KNOWN[name].default),
            value,
            row.reasons.get(name),
        )
        for name, value in row.values.items()
        if name in _OWN or name in KNOWN
    ]
    for kind, changes in parts_of(row).items():
        for part in PARTS[kind].rows(vm, changes):
            now, then = PARTS[kind].sides(part, changes[str(part.pk)])
            reason, name = row.reasons.get(str(part.pk)), PARTS[kind].name(part)
            lines.append(Difference(str(part.pk), PARTS[kind].title, now, then, reason, kind, name))
    return lines


def _locked(vm: VirtualMachine) -> PendingChange:
    return PendingChange.objects.select_for_update().filter(vm=vm).first() or PendingChange(
        vm=vm, values={}, reasons={}
    )


def _save(vm: VirtualMachine, row: PendingChange, before: Mapping[str, Any], actor: Actor) -> set[str]:
    changed = {name for name in before.keys() | row.values.keys() if before.get(name) != row.values.get(name)}
    if not changed:
        return changed
    row.asked_by, row.asked_at = actor.name[:255], clock.now()
    if row.values:
        row.save()
    elif before:
        row.delete()
    publish("vm", vm.pk, "changed")
    return changed
