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
from .models import Network, Nic, PendingChange, VirtualMachine

HOT = ("vcpus", "memory_mib", "balloon_mib")  # what a run may take, of the machine itself
NICS = "nics"
OFF = (PowerState.OFF, PowerState.CRASHED, PowerState.MISSING, PowerState.UNKNOWN)
UP = (PowerState.RUNNING, PowerState.PAUSED)
_OWN = {"vcpus": N_("Processors"), "memory_mib": N_("Memory in MiB")}
_CARD = {
    "network": N_("network"), "model": N_("model"), "connected": N_("cable in"), "in_kib": N_("KiB a second in"),
    "out_kib": N_("KiB a second out"), "guard": N_("may send as"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """One line of the diff. `now` and `then`: None for a card that is not there. `reason`: why not at once."""

    field: str
    title: str
    now: Any
    then: Any
    reason: Mapping[str, Any] | None = None
    nic: Nic | None = None


def is_off(vm: VirtualMachine) -> bool:
    """Whether what is changed counts at once, since nothing runs and no memory is saved."""
    return vm.power_state in OFF


def of(vm: VirtualMachine) -> PendingChange | None:
    return PendingChange.objects.filter(vm=vm).first()


def hardware(vm: VirtualMachine, row: PendingChange | None) -> dict[str, Any]:
    """`vcpus`, `memory_mib` and `options` as they will be."""
    after = {name: value for name, value in row.values.items() if name != NICS} if row else {}
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


def keep_card(nic: Nic, change: Mapping[str, Any] | None, *, actor: Actor) -> None:
    """Note a change of a card (None: none any more). In a transaction."""
    row = _locked(nic.vm)
    before, cards = dict(row.values), dict(row.values.get(NICS, {}))
    cards.pop(str(nic.pk), None)
    row.reasons.pop(str(nic.pk), None)
    if change:
        cards[str(nic.pk)] = dict(change)
    row.values = {**{name: value for name, value in before.items() if name != NICS}, **({NICS: cards} if cards else {})}
    _save(nic.vm, row, before, actor)


def of_card(row: PendingChange | None, nic: Nic) -> dict[str, Any]:
    """What is noted of a card."""
    noted: dict[str, Any] = (row.values.get(NICS, {}) if row else {}).get(str(nic.pk), {})
    return dict(noted)


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
        for nic in Nic.objects.filter(vm=vm, pk__in=row.values.get(NICS, {})):
            settle_card(nic, of_card(row, nic))
        row.delete()
        publish("vm", vm.pk, "changed")
        return True


def settle_card(nic: Nic, change: Mapping[str, Any]) -> None:
    """Write what was noted of a card into its row. A network that is gone meanwhile changes nothing."""
    if change.get("gone"):
        nic.delete()
        return
    with_change(nic, change)
    nic.plugged = True
    nic.save()


def with_change(nic: Nic, change: Mapping[str, Any]) -> Nic:
    """The card, unsaved, as it will be."""
    for name in _CARD.keys() & change.keys():
        if name != "network":
            setattr(nic, name, change[name])
        elif (network := Network.objects.filter(pk=change["network"]).first()) is not None:
            nic.network = network
    return nic


def settle(vm: VirtualMachine, done: Mapping[str, Any], refused: Mapping[str, BerthError]) -> None:
    """After a try on the run: `done` fields (or cards' ids) with the values that were tried are noted no more, the
    `refused` stay with their reasons. In a transaction; what somebody noted anew meanwhile stays as they noted it.
    """
    row = PendingChange.objects.select_for_update().filter(vm=vm).first()
    if row is None:
        return
    cards = dict(row.values.get(NICS, {}))
    for name, value in done.items():
        for place in (row.values, cards):
            if place.get(name) == value:
                del place[name]
                row.reasons.pop(name, None)
    row.values = {
        **{name: value for name, value in row.values.items() if name != NICS},
        **({NICS: cards} if cards else {}),
    }
    for name, error in refused.items():
        if name in row.values or name in cards:
            row.reasons[name] = error.as_dict()
    if row.values:
        row.save()
    else:
        row.delete()


def undo(vm: VirtualMachine, fields: Collection[str] | None = None) -> set[str]:
    """Forget what was noted: all of it, or these fields and cards. Returns which there were. In a transaction."""
    row = PendingChange.objects.select_for_update().filter(vm=vm).first()
    if row is None:
        return set()
    noted = {*(row.values.keys() - {NICS}), *row.values.get(NICS, {})}
    dropped = noted if fields is None else noted & set(fields)
    cards = {pk: change for pk, change in row.values.get(NICS, {}).items() if pk not in dropped}
    Nic.objects.filter(vm=vm, plugged=False, pk__in=dropped & row.values.get(NICS, {}).keys()).delete()
    before = dict(row.values)
    row.values = {
        **{name: value for name, value in before.items() if name not in dropped | {NICS}},
        **({NICS: cards} if cards else {}),
    }
    row.reasons = {name: reason for name, reason in row.reasons.items() if name not in dropped}
    if row.values:
        row.save()
    else:
        row.delete()
    return dropped


def differences(vm: VirtualMachine, row: PendingChange | None) -> list[Difference]:
    """The diff, now → at the next start: one query more where cards change."""
    if row is None:
        return []
    lines = [
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
    noted = row.values.get(NICS, {})
    cards = Nic.objects.filter(vm=vm, pk__in=noted).select_related("network") if noted else ()
    return lines + [_card(nic, noted[str(nic.pk)], row.reasons.get(str(nic.pk))) for nic in cards]


def _card(nic: Nic, change: Mapping[str, Any], reason: Mapping[str, Any] | None) -> Difference:
    present: dict[str, Any] | None = {name: getattr(nic, name) for name in _CARD if name != "network"}
    assert present is not None
    present["network"] = nic.network.name
    after: dict[str, Any] | None = dict(present)
    if change.get("gone"):
        now, after = present, None
    elif change.get("plug"):
        now = None
    else:
        changed = with_change(nic, change)
        after = {
            **{name: getattr(changed, name) for name in _CARD if name != "network"},
            "network": changed.network.name,
        }
        now = {name: value for name, value in present.items() if after[name] != value}
        after = {name: after[name] for name in now}
    return Difference(str(nic.pk), N_("Network card"), now, after, reason, nic)


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
