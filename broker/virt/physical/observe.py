"""What is observed of physical PCs, written where it differs: the counterpart of virt/observe.py, which hosts feed."""

import uuid
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from broker.core import clock
from broker.events.news import publish
from broker.virt.driver import PowerState
from broker.virt.models import PhysicalMachine, VirtualMachine

MISSES = 2
"""So many looks in a row without an answer are taken for off: one lost packet ends nobody's session."""
UNFOUND, MAINTENANCE = "cannot be found", "maintenance"


@dataclass(frozen=True, slots=True)
class Seen:
    """`resolved`: where it was looked for; without it `error` says why it was not, and `refused` that it may not be.

    `there`: something answered, if only that a port is closed."""

    resolved: str = ""
    open_ports: tuple[int, ...] = ()
    there: bool = False
    error: str = ""
    refused: bool = False


def write(pc: PhysicalMachine, seen: Seen) -> None:
    """Put what was seen of `pc` into its rows."""
    with transaction.atomic():
        vm = VirtualMachine.objects.select_for_update().filter(pk=pc.pk).first()
        row = PhysicalMachine.objects.filter(pk=pc.pk, maintenance=False, address=pc.address).first()
        if vm is None or row is None:
            return  # it was changed or removed while it was looked for
        missed = 0 if seen.there else MISSES if seen.refused else min(row.misses + 1, MISSES)
        forgiven = vm.power_state == PowerState.RUNNING and 0 < missed < MISSES
        PhysicalMachine.objects.filter(pk=pc.pk).update(misses=missed, probed_at=clock.now(), error=seen.error)
        if forgiven:
            return
        PhysicalMachine.objects.filter(pk=pc.pk).update(
            resolved=seen.resolved or None, open_ports=list(seen.open_ports)
        )
        power = PowerState.RUNNING if seen.there else PowerState.UNKNOWN if seen.error else PowerState.OFF
        _take(vm, power, UNFOUND if seen.error else "", _screens(row, seen))


def forget(pc: PhysicalMachine) -> None:
    """What was seen of it does not count any more: it is elsewhere now, or in maintenance. Within a transaction."""
    PhysicalMachine.objects.filter(pk=pc.pk).update(resolved=None, open_ports=[], misses=0, probed_at=None, error="")
    vm = VirtualMachine.objects.select_for_update().get(pk=pc.pk)
    _take(vm, PowerState.UNKNOWN, MAINTENANCE if pc.maintenance else "", [])


def _screens(pc: PhysicalMachine, seen: Seen) -> list[dict[str, Any]]:
    """As a host would tell of them; `bare`: without TLS, behind a password at most."""
    if not (seen.there and pc.vnc_port) or not (pc.probe_port or pc.vnc_port in seen.open_ports):
        return []
    return [{"kind": "vnc", "host": seen.resolved, "port": pc.vnc_port, "bare": True}]


def _take(vm: VirtualMachine, power: PowerState, reason: str, screens: list[dict[str, Any]]) -> None:
    on, was_on, now = power is PowerState.RUNNING, vm.power_state == PowerState.RUNNING, clock.now()
    wanted: dict[str, Any] = {"power_state": power, "power_reason": reason, "consoles": screens}
    differs = any(getattr(vm, name) != value for name, value in wanted.items())
    if on != was_on:
        wanted |= {"boot_id": uuid.uuid4().hex if on else "", "booted_at": now if on else None}
    VirtualMachine.objects.filter(pk=vm.pk).update(observed_at=now, **(wanted if differs else {}))
    if differs:
        publish("vm", vm.pk, "power" if vm.power_state != power else "changed")
