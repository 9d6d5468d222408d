"""Where a physical PC may be: what an administrator types here is what Berth connects to.

By default only in private networks, else in those of BERTH_PHYSICAL_NETWORKS; never where Berth itself, its hosts or
a cloud's secrets are. A name is looked up once, by the duty that looks for PCs; what it found is what the gateway
dials, checked again there, so that no name leads elsewhere in between.
"""

import ipaddress
import socket
from collections.abc import Collection, Iterable
from urllib.parse import urlsplit

from django.conf import settings

from broker.core.addresses import Address, address_of
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.virt import names
from broker.virt.models import Host

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
PRIVATE: tuple[Network, ...] = (
    ipaddress.ip_network("10.0.0.0/8"),
    ipaddress.ip_network("172.16.0.0/12"),
    ipaddress.ip_network("192.168.0.0/16"),
    ipaddress.ip_network("fc00::/7"),
)  # RFC 1918 and RFC 4193


def checked(value: str) -> str:
    """A name or an IP address as it can be kept. Raises Invalid; nothing is looked up."""
    try:
        address = ipaddress.ip_address(value)
    except (ValueError, TypeError):
        return names.server(value, field="address")
    require_allowed(address)
    return str(address)


def checked_broadcast(value: str) -> str | None:
    """Where a magic packet is sent: the broadcast address of a network, None for none. Raises Invalid."""
    if not value:
        return None
    try:
        address = ipaddress.IPv4Address(value)
    except ValueError:
        address = None
    if address is None or not any(address in network for network in networks()) or address.is_loopback:
        raise Invalid(
            N_("This is not the broadcast address of a network that PCs may be in."), field="broadcast",
            fix=N_("Write it like 192.168.20.255, or leave it empty."),
        )  # fmt: skip
    return str(address)


def networks() -> tuple[Network, ...]:
    """Those that PCs may be in."""
    return tuple(settings.PHYSICAL_NETWORKS) or PRIVATE


def require_allowed(address: Address, *, hosts: Collection[Address] | None = None) -> None:
    """Raise Invalid unless Berth may connect to a PC there. `hosts`: where hosts are, if that was looked up."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if (
        address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
        or address.is_reserved
    ):  # fmt: skip
        raise _refused(address, N_("%(address)s is not the address of a PC."), N_("Give the PC's own address."))
    if not any(address in network for network in networks()):
        raise _refused(
            address,
            N_("%(address)s is in no network that PCs may be in."),
            N_("Have its network named in BERTH_PHYSICAL_NETWORKS."),
        )
    if _is_here(address) or address in (parsed(places_of_hosts()) if hosts is None else hosts):
        raise _refused(
            address,
            N_("%(address)s is the address of Berth or of one of its hosts."),
            N_("Give the PC's own address."),
        )


def allowed(told: Iterable[str], *, hosts: Collection[Address] | None = None) -> str:
    """The first of these addresses, as a resolver tells them. Raises Invalid when any of them may not be used."""
    found = [address_of(one) for one in told]
    for one in found:
        require_allowed(one, hosts=hosts)
    return str(found[0])


def places_of_hosts() -> set[str]:
    """The names and addresses by which hosts are reached."""
    rows = Host.objects.order_by().values_list("address", "uri")
    return {place for address, uri in rows for place in (address, urlsplit(uri).hostname or "") if place}


def parsed(places: Iterable[str]) -> set[Address]:
    """Those of them that are IP addresses."""
    found: set[Address] = set()
    for one in places:
        try:
            found.add(address_of(one))
        except ValueError:
            continue  # a name
    return found


def _refused(address: Address, message: str, fix: str) -> Invalid:
    return Invalid(message, field="address", rule="physical.address", fix=fix, address=str(address))


def _is_here(address: Address) -> bool:
    """Whether it belongs to this very computer: only then can something be bound to it."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
    return True
