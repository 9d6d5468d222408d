"""The actions on a machine's power: their name in addresses, when they are offered, what is asked and told."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from broker.virt.actions import (
    pause_vm,
    power_off_vm,
    reboot_vm,
    reset_vm,
    resume_vm,
    shutdown_vm,
    start_vm,
    suspend_vm,
)


@dataclass(frozen=True, slots=True)
class PowerVerb:
    """`states`: the power states in which the action accepts the machine; `confirm` is asked first."""

    name: str
    label: Promise
    icon: str
    action: Callable[..., Any]
    states: tuple[str, ...]
    told: Promise
    danger: bool = False
    confirm: Promise | str = ""


POWER_VERBS: tuple[PowerVerb, ...] = (
    PowerVerb(
        "start", _("Start"), "player-play", start_vm.start_vm, start_vm.WHEN,
        _("The machine is being started."),
    ),
    PowerVerb(
        "resume", _("Resume"), "player-play", resume_vm.resume_vm, resume_vm.WHEN,
        _("The machine goes on."),
    ),
    PowerVerb(
        "pause", _("Pause"), "player-pause", pause_vm.pause_vm, pause_vm.WHEN,
        _("The machine is being paused."),
    ),
    PowerVerb(
        "suspend", _("Suspend to disk"), "moon", suspend_vm.suspend_vm, suspend_vm.WHEN,
        _("The machine is being suspended to disk."),
    ),
    PowerVerb(
        "reboot", _("Restart"), "refresh", reboot_vm.reboot_vm, reboot_vm.WHEN,
        _("The machine was asked to restart."),
        confirm=_("The desktop restarts. Save open work first."),
    ),
    PowerVerb(
        "shutdown", _("Shut down"), "power", shutdown_vm.shutdown_vm, shutdown_vm.WHEN,
        _("The machine was asked to shut down."), danger=True,
        confirm=_("The desktop shuts down. Save open work first."),
    ),
    PowerVerb(
        "reset", _("Reset (as with the button)"), "rotate-clockwise", reset_vm.reset_vm, reset_vm.WHEN,
        _("The machine is being reset."), danger=True,
        confirm=_("The machine starts anew at once. Unsaved work is lost."),
    ),
    PowerVerb(
        "power-off", _("Power off"), "bolt", power_off_vm.power_off_vm, power_off_vm.WHEN,
        _("The machine is being switched off."), danger=True,
        confirm=_("The machine is switched off at once. Unsaved work is lost."),
    ),
)  # fmt: skip
POWER = {verb.name: verb for verb in POWER_VERBS}
MORE = {
    "migrate": (_("Migrate"), "server", False),
    "snapshot": (_("Take a snapshot"), "history", False),
    "delete": (_("Delete"), "trash", True),
}
"""What else is done to several machines at once: label, icon, whether it is dangerous."""
