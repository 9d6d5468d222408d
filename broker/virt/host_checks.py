"""What the agents' checks mean, and what helps where one finds something wanting."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from broker.core.text import gettext_noop as N_


@dataclass(frozen=True, slots=True)
class Check:
    """`needed`: without it machines do not run or move; others only take something away."""

    title: str
    fix: str
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    check: Check
    well: bool
    seen: str


CHECKS = {
    "qemu": Check(N_("QEMU 7 or newer"), N_("Install qemu-system-x86 of Debian 12 or newer."), needed=True),
    "libvirt": Check(N_("libvirt 9 or newer"), N_("Install libvirt-daemon-system of Debian 12 or newer."), needed=True),
    "tls": Check(
        N_("libvirt listens with TLS"), N_("Start libvirtd-tls.socket, and open port 16514 between hosts and Berth."),
        needed=True,
    ),
    "consoles": Check(
        N_("It leads to its machines' screens"),
        N_("Install its agent anew with a new invitation, and open port 16516 for Berth."),
    ),
    "time": Check(N_("Its clock"), N_("Have it set by NTP, as with systemd-timesyncd."), needed=True),
    "spice": Check(N_("SPICE"), N_("Install qemu-system-modules-spice, or use VNC.")),
    "firmware": Check(N_("UEFI firmware"), N_("Install ovmf, or use BIOS.")),
    "tpm": Check(N_("Emulated TPM"), N_("Install swtpm and swtpm-tools.")),
    "service": Check(N_("systemd restarts the agent"), N_("Start it as berth-agent.service.")),
    "watchdog": Check(
        N_("Hardware watchdog"),
        N_("Write /dev/watchdog as “watchdog” into /etc/berth/agent.json and restart the agent."),
    ),
}  # fmt: skip


def kept(given: object) -> dict[str, list[Any]]:
    """Of what an agent says, what is known here and can be."""
    found: dict[str, list[Any]] = {}
    for one in given if isinstance(given, list) else ():
        if isinstance(one, list) and len(one) == 3 and one[0] in list(CHECKS) and isinstance(one[1], bool):
            found[one[0]] = [one[1], str(one[2])[:64]]
    return found


def findings(told: Mapping[str, Any]) -> list[Finding]:
    """From an agent's last report: what is wanting first, the needed before the rest."""
    stored = told.get("checks") or {}
    found = [Finding(CHECKS[name], well, seen) for name, (well, seen) in stored.items() if name in CHECKS]
    return sorted(found, key=lambda one: (one.well, not one.check.needed))
