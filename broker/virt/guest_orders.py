"""Orders to the people's side of a guest, through its agent: lock, log out, show a text. What to run is per system.

Called from workers, never while a page waits: an agent may take seconds, and may not be there at all.
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from broker.core import clock
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_

from . import hosts
from .driver import GuestRun, Unsupported
from .models import VirtualMachine

PATIENCE = 10.0
LOOK_EVERY = 0.3
# Names the agent reports although nobody has logged in: screens that wait for a login run as these.
GREETERS = frozenset({"gdm", "lightdm", "sddm", "Debian-gdm", "gnome-initial-setup"})


@dataclass(frozen=True, slots=True)
class Order:
    """`script` makes the shell script for some logged-in users and a text."""

    name: str
    script: Callable[[Sequence[str], str], str]


def _lock(users: Sequence[str], text: str) -> str:
    return "loginctl lock-sessions"


def _log_out(users: Sequence[str], text: str) -> str:
    lines = [
        f"if command -v loginctl >/dev/null; then loginctl terminate-user {user}; else pkill -KILL -u {user}; fi"
        for user in map(shlex.quote, users)
    ]
    return "\n".join(lines) or "true"


def _tell(users: Sequence[str], text: str) -> str:
    return f"printf '%s\\n' {shlex.quote(text)} | wall"


LINUX = {order.name: order for order in (Order("lock", _lock), Order("log-out", _log_out), Order("tell", _tell))}
# The drivers run shell scripts in guests: for a system without one there is no order that could be given.
SYSTEMS: Mapping[str, Mapping[str, Order]] = {"linux": LINUX, "windows": {}}


def system_of(guest: Mapping[str, Any]) -> str:
    """The key into SYSTEMS for what the agent told."""
    return "windows" if "windows" in str(guest.get("os_name", "")).lower() else "linux"


def people_in(guest: Mapping[str, Any]) -> list[str]:
    """Who is logged in to the guest, by what its agent told."""
    return [name for name in guest.get("users") or [] if name not in GREETERS]


def give(vm: VirtualMachine, name: str, text: str = "", *, sleep: Callable[[float], None]) -> None:
    """Give the order and wait for its end. Raises a BerthError with the cause when it was not carried out."""
    order = SYSTEMS[system_of(vm.guest)].get(name)
    if order is None:
        raise Unsupported(
            N_("Berth cannot do “%(order)s” in %(system)s."),
            fix=N_("Choose another step for this pool, such as closing the screen or shutting down."),
            order=name,
            system=str(vm.guest.get("os_name", "")),
        )
    ended = run(vm, order.script(people_in(vm.guest), text), name, sleep=sleep)
    if ended.code:
        raise Conflict(
            N_("The guest of %(name)s did not carry out “%(order)s”: %(output)s"),
            rule="guest.obeys",
            fix=N_("Install systemd-logind and a desktop that follows it in the template, or choose another step."),
            name=vm.name,
            order=name,
            output=ended.output.strip()[:200] or str(ended.code),
        )


def run(
    vm: VirtualMachine, script: str, name: str, *, patience: float = PATIENCE, sleep: Callable[[float], None]
) -> GuestRun:
    """Have the guest run a shell script, and wait for its end. Raises a BerthError when there was none in time."""
    if vm.host is None:
        raise Conflict(N_("%(name)s is on no host."), rule="power.host", fix=N_("Start it."), name=vm.name)
    line = hosts.connection(vm.host)
    begun = line.begin_in_guest(str(vm.pk), script)
    until = clock.steady() + patience
    while (ended := line.ended_in_guest(str(vm.pk), begun)) is None:
        if clock.steady() > until:
            raise Conflict(
                N_("The guest of %(name)s did not finish “%(order)s” in time."),
                rule="guest.answers",
                fix=N_("Look what keeps it busy."),
                name=vm.name,
                order=name,
            )
        sleep(LOOK_EVERY)
    return ended
