"""Which addresses Berth connects to when the name of a server was typed by somebody, or told by another server."""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def address_of(told: str) -> Address:
    """What the system's resolver says, without the zone."""
    return ipaddress.ip_address(told.partition("%")[0])


def is_public(told: Address) -> bool:
    """Of the public internet, and not one that stands for another."""
    if isinstance(told, ipaddress.IPv6Address) and (
        told.ipv4_mapped or told.sixtofour or told.teredo or told in _NAT64
    ):
        return False
    return told.is_global and not told.is_multicast and not told.is_reserved


def is_ours(told: Address) -> bool:
    """A server of one's own may be anywhere but where clouds tell machines their secrets."""
    if isinstance(told, ipaddress.IPv6Address) and told.ipv4_mapped:
        told = told.ipv4_mapped
    return not (told.is_link_local or told.is_multicast or told.is_unspecified)
