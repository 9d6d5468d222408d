"""A desktop's own remote desktop: the .rdp file that leads straight to it, past the gateway, and the way by browser.

Format: the settings that Microsoft lists under "Supported RDP properties". There is no password in it. What Berth
cannot see it cannot keep either: the switches in the file are what the policy wishes, and the desktop's own rules
decide. So it is there only where the pool says so, and never where the screen is recorded.
"""

import ipaddress

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.settings import env
from broker.virt.driver import PowerState
from broker.virt.models import Nic, VirtualMachine

from .consent import require_own_screen
from .endpoints import RDP, Endpoint, through_gateway
from .models import ConsolePolicy
from .policy import policy_of
from .viewer import note_viewer

MEDIA_TYPE = "application/x-rdp"
PORT = 3389


def rdp_file(actor: Actor, vm: VirtualMachine, *, full_screen: bool = False) -> bytes:
    """The file; that it was handed out counts as a session. Raises Missing, Denied or Conflict."""
    require(actor, "vm.use", vm)
    require_own_screen(actor, vm)
    if vm.power_state != PowerState.RUNNING:
        raise Conflict(
            N_("%(name)s is not running."),
            rule="power.running",
            about=vm,
            fix=N_("Start it, then connect."),
            name=vm.name,
        )
    policy = policy_of(vm)
    if not _wished(vm, policy):
        raise Conflict(
            N_("%(name)s is not offered by RDP."), rule="console.rdp", fix=N_("Open it in the browser."), name=vm.name
        )
    address, port = end_of(vm)
    if not address:
        raise Conflict(
            N_("The address of %(name)s is not known yet."), rule="console.address",
            fix=N_("Wait until its guest agent or its RDP port answers, or open it in the browser."), name=vm.name,
        )  # fmt: skip
    note_viewer(actor, vm, Endpoint(RDP, host=address, port=port))
    return _render(
        actor, policy, f"[{address}]:{port}" if ":" in address else f"{address}:{port}", full_screen=full_screen
    )


def offered(vm: VirtualMachine, policy: ConsolePolicy) -> str:
    """The address at which it is offered; empty when it is not. One query at most."""
    return end_of(vm)[0] if vm.power_state == PowerState.RUNNING and _wished(vm, policy) else ""


def _wished(vm: VirtualMachine, policy: ConsolePolicy) -> bool:
    """Whether it is to be offered. A physical PC is where its port was given."""
    return not policy.record and (policy.rdp or (vm.is_physical and bool(vm.physical.rdp_port)))


def end_of(vm: VirtualMachine) -> tuple[str, int]:
    """The address and the port; an empty address while it is not known, or nothing answers there."""
    if not vm.is_physical:
        return address_of(vm), PORT
    pc = vm.physical
    if not pc.rdp_port or pc.maintenance or not (pc.probe_port or pc.rdp_port in pc.open_ports):
        return "", 0
    return pc.resolved or "", pc.rdp_port


def in_browser(vm: VirtualMachine, policy: ConsolePolicy) -> str:
    """The address at which a gateway may open it for a browser; empty when it may not. One query at most.

    What a guest says its address is may be any: only those in BERTH_RDP_NETWORKS are dialed.
    """
    wished = policy.rdp or (vm.is_physical and bool(vm.physical.rdp_port))
    if not wished or not env.rdp_networks or vm.power_state != PowerState.RUNNING:
        return ""
    address, _port = end_of(vm)
    return address if address and any(ipaddress.ip_address(address) in one for one in env.rdp_networks) else ""


def screen_of(vm: VirtualMachine, kind: str, policy: ConsolePolicy) -> Endpoint | None:
    """Where a gateway finds the machine's screen of this kind, its remote desktop among them."""
    if kind != RDP:
        return through_gateway(vm, kind)
    address = in_browser(vm, policy)
    return Endpoint(RDP, host=address, port=end_of(vm)[1], tls=True) if address else None


def address_of(vm: VirtualMachine) -> str:
    """Where the guest says it is, else what DHCP gave it; empty when nobody knows."""
    guest = vm.guest if isinstance(vm.guest, dict) else {}
    told = [str(one) for one in guest.get("addresses") or ()]
    for one in told or Nic.objects.filter(vm=vm, plugged=True).exclude(leased="").values_list("leased", flat=True):
        try:
            parsed = ipaddress.ip_address(one.partition("/")[0])
        except ValueError:
            continue
        if parsed.version == 4 and not (parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified):
            return str(parsed)
    return ""


def _render(actor: Actor, policy: ConsolePolicy, address: str, *, full_screen: bool) -> bytes:
    both_ways = int(policy.paste and policy.copy)
    lines = [
        f"full address:s:{address}",
        f"username:s:{user_name(actor)}",
        "authentication level:i:2",  # warn of a certificate that does not fit
        "enablecredsspsupport:i:1",
        "prompt for credentials:i:1",
        "gatewayhostname:s:",
        "gatewayusagemethod:i:0",
        f"screen mode id:i:{2 if full_screen else 1}",
        f"use multimon:i:{int(full_screen)}",
        "dynamic resolution:i:1",
        f"redirectclipboard:i:{both_ways}",
        f"drivestoredirect:s:{'*' if policy.files else ''}",
        f"usbdevicestoredirect:s:{'*' if policy.usb else ''}",
        f"redirectsmartcards:i:{int(policy.smartcard)}",
        "redirectprinters:i:0",
    ]
    text = "".join(f"{line}\r\n" for line in lines)
    return text.encode("ascii") if text.isascii() else text.encode("utf-16")


def user_name(actor: Actor) -> str:
    """The user as Windows asks for them: with their domain, where their directory is one."""
    if actor.user is None:
        return ""
    config = actor.user.directory.config
    parts = str(config.get("user_base", "")).split(",") if config.get("flavour") == "ad" else []
    domain = ".".join(part.strip()[3:] for part in parts if part.strip().lower().startswith("dc="))
    name = "".join(character for character in actor.user.username if character.isprintable())
    return f"{name}@{domain}" if domain and "@" not in name else name
