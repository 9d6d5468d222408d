"""Cut and give power through the agents of the package fence-agents.

An agent reads its options, the password among them, from its standard input: nothing of it is seen in the list of
processes. Only agents that talk to power management are allowed: others run commands of one's choice on this machine.
"""

import re
import subprocess
from collections.abc import Callable
from typing import Literal

from broker.core.errors import Invalid, Unavailable
from broker.core.text import gettext_noop as N_
from broker.settings import env
from broker.virt.models import FenceDevice

from . import secret

AGENTS = (
    "fence_ipmilan", "fence_redfish", "fence_idrac", "fence_ilo", "fence_ilo2", "fence_ilo3", "fence_ilo4",
    "fence_ilo5", "fence_ilo_ssh", "fence_drac5", "fence_imm", "fence_rsa", "fence_bladecenter", "fence_hpblade",
    "fence_apc", "fence_apc_snmp", "fence_eaton_snmp", "fence_eps", "fence_wti", "fence_cisco_ucs", "fence_virsh",
    "fence_vmware_rest", "fence_vmware_soap", "fence_pve", "fence_rhevm", "fence_intelmodular",
)  # fmt: skip
TIMEOUT = 40.0
_OPTION = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
# What Berth says itself, and what would read files or run commands here.
_RESERVED = re.compile(
    r"action|ip|ipaddr|username|login|password|passwd|debug.*|.*script.*|.*path.*|.*file.*|.*cmd.*|.*options"
)
_ON, _OFF = 0, 2

Action = Literal["on", "off", "status"]
Runner = Callable[[FenceDevice, Action], tuple[int, str]]


def checked_options(options: dict[str, str]) -> dict[str, str]:
    """Raise Invalid for an option that cannot be, or that Berth does not let one set."""
    for name, value in options.items():
        clean = isinstance(value, str) and value.isprintable() and len(value) <= 255
        if not isinstance(name, str) or not _OPTION.fullmatch(name) or _RESERVED.fullmatch(name) or not clean:
            raise Invalid(
                N_("The option %(name)s cannot be set."), field="options", name=str(name)[:64],
                fix=N_("Use options of the agent such as lanplus=1, one line each."),
            )  # fmt: skip
    if len(options) > 32:
        raise Invalid(N_("These are too many options."), field="options", fix=N_("Use at most 32."))
    return options


def run_agent(device: FenceDevice, action: Action) -> tuple[int, str]:
    """Ask the agent; returns its exit code and what it said. Raises Unavailable without an agent or an answer."""
    if device.agent not in AGENTS:
        raise Unavailable(
            N_("%(agent)s is not allowed."), rule="fence.agent", fix=N_("Use an agent for power management."),
            agent=device.agent,
        )  # fmt: skip
    given = {"ip": device.address, "username": device.username, "password": secret.opened(device), **device.options}
    words = "".join(f"{name}={value}\n" for name, value in {**given, "action": action}.items() if value)
    try:
        done = subprocess.run(
            [str(env.fence_dir / device.agent)],
            input=words,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise Unavailable(
            N_("The agent %(agent)s is not installed here."), rule="fence.agent", agent=device.agent,
            fix=N_("Install the package fence-agents on every machine that runs workers."),
        ) from None  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Unavailable(
            N_("%(device)s did not answer within %(seconds)s seconds."), rule="fence.answers", device=str(device),
            seconds=int(TIMEOUT), fix=N_("Check its address, the network and its options."),
        ) from None  # fmt: skip
    return done.returncode, (done.stderr or done.stdout).strip()[-300:]


# Replaced by the simulator: power management is one more thing outside the database.
runner: Runner = run_agent


def is_off(device: FenceDevice) -> bool:
    """Whether power management says that the host is off. Raises Unavailable when it says neither."""
    code, said = runner(device, "status")
    if code in (_ON, _OFF):
        return code == _OFF
    raise _failed(device, "status", said)


def switch(device: FenceDevice, action: Action) -> None:
    """Cut the power or give it. Raises Unavailable when the agent says that it did not work."""
    code, said = runner(device, action)
    if code != 0:
        raise _failed(device, action, said)


def _failed(device: FenceDevice, action: str, said: str) -> Unavailable:
    return Unavailable(
        N_("%(device)s refused “%(action)s”: %(said)s"), rule="fence.answers", device=str(device), action=action,
        said=said or "?", fix=N_("Check its address, name, password and options."),
    )  # fmt: skip
