"""The guest agent: whether it is there, and what it tells about the guest."""

import libvirt

from broker.core.text import gettext_noop
from broker.virt.driver import GuestInfo, Refused
from broker.virt.drivers.libvirt.connection import Link
from broker.virt.drivers.libvirt.domain_xml.build import AGENT
from broker.virt.drivers.libvirt.domain_xml.machine import Machine

TIMEOUT = 5  # seconds an agent may take
_WANTED = (
    libvirt.VIR_DOMAIN_GUEST_INFO_USERS
    | libvirt.VIR_DOMAIN_GUEST_INFO_OS
    | libvirt.VIR_DOMAIN_GUEST_INFO_HOSTNAME
    | libvirt.VIR_DOMAIN_GUEST_INFO_INTERFACES
)


def connected(domain: libvirt.virDomain) -> bool:
    """Whether a guest agent has opened its channel; no question is sent to the guest."""
    machine = Machine.parse(domain.XMLDesc(0))
    return any(channel.name == AGENT and channel.state == "connected" for channel in machine.channels)


def require(domain: libvirt.virDomain) -> None:
    """Raise Refused without a connected agent; otherwise bound the time it may take."""
    if not connected(domain):
        raise Refused(
            gettext_noop("No guest agent answers in “%(name)s”."),
            fix=gettext_noop("Install qemu-guest-agent in the guest, or use the power button."),
            name=domain.name(),
        )
    domain.agentSetResponseTimeout(TIMEOUT, 0)


class Asking(Link):
    """What the guests of a host tell."""

    def guest(self, uuid: str) -> GuestInfo | None:
        with self.calling():
            domain = self.domain(uuid)
            if not domain.isActive() or not connected(domain):
                return None
            domain.agentSetResponseTimeout(TIMEOUT, 0)
            try:
                told = domain.guestInfo(_WANTED, 0)
            except libvirt.libvirtError as error:
                if error.get_error_code() in (libvirt.VIR_ERR_AGENT_UNRESPONSIVE, libvirt.VIR_ERR_AGENT_UNSYNCED):
                    return None
                raise
        return from_parameters(told)


def from_parameters(told: dict[str, str | int]) -> GuestInfo:
    """libvirt's flat parameters ("if.0.addr.1.addr") as GuestInfo; loopback and link-local addresses are left out."""
    addresses = []
    for index in range(int(told.get("if.count", 0))):
        for number in range(int(told.get(f"if.{index}.addr.count", 0))):
            address = str(told.get(f"if.{index}.addr.{number}.addr", ""))
            if address and not address.startswith(("127.", "fe80:", "169.254.")) and address != "::1":
                addresses.append(address)
    users = {str(told[f"user.{index}.name"]) for index in range(int(told.get("user.count", 0)))}
    return GuestInfo(
        hostname=str(told.get("hostname", "")),
        os_name=str(told.get("os.name", "")),
        os_version=str(told.get("os.version", "")),
        addresses=tuple(addresses),
        users=tuple(sorted(users)),
    )
