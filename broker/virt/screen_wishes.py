"""What may pass at a machine's SPICE screen: the policy of its pool says it, above this package; here it is asked for.

A definition has it from the next start on; what a run has, its host tells with where the screen listens.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from broker.core.text import gettext_noop as N_

from .driver import PowerState, ScreenParts
from .models import VirtualMachine

TITLES = {
    "usb": N_("USB ports for Remote Viewer"),
    "smartcard": N_("Card reader for Remote Viewer"),
    "clipboard": N_("Clipboard by SPICE"),
    "files": N_("Files by SPICE"),
}
_ask: list[Callable[[VirtualMachine], ScreenParts]] = []


def provide(ask: Callable[[VirtualMachine], ScreenParts]) -> None:
    """Name who knows the policy; called while the apps load."""
    _ask[:] = [ask]


def wanted(vm: VirtualMachine) -> ScreenParts | None:
    """What its next start is to have; None where nobody says, or it has no SPICE. One query."""
    return _ask[0](vm) if _ask and "spice" in (vm.graphics or []) else None


def present(vm: VirtualMachine) -> ScreenParts | None:
    """What its present run has; None without a run or SPICE in it."""
    told = next((one for one in vm.consoles if one.get("kind") == "spice"), None)
    return ScreenParts(**told["parts"]) if told and isinstance(told.get("parts"), dict) else None


def waiting(vm: VirtualMachine) -> list[tuple[str, Any, Any]]:
    """Field, now and at the next start, of a machine that runs: what its policy changed since its start."""
    if vm.power_state not in (PowerState.RUNNING, PowerState.PAUSED):
        return []
    has = present(vm)
    wish = wanted(vm) if has is not None else None
    if has is None or wish is None:
        return []
    then = asdict(wish)
    return [(name, value, then[name]) for name, value in asdict(has).items() if value != then[name]]
