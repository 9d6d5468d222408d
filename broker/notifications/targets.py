"""Where webhooks may go: not to this computer nor into its own networks, unless the settings name the place.

The address is looked up once and the connection goes to that very address, so that a name cannot be found harmless and
then lead elsewhere. Redirects are not followed.
"""

import ipaddress
import socket
from urllib.parse import SplitResult, urlsplit

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_


def parts_of(url: str) -> SplitResult:
    """The address in parts; raises Invalid for what is no plain http(s) address."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound or parts.username or parts.password or not url.isascii() or not url.isprintable() or " " in url:
        raise Invalid(
            N_("That is no address that a webhook can be sent to."), field="target",
            fix=N_("Give one like https://chat.example.org/hooks/berth, without a user name in it."),
        )  # fmt: skip
    return parts


def check(url: str, allowed: list[str]) -> None:
    """Raise Invalid for what will certainly be refused when it is sent; a name may still turn out to be."""
    parts = parts_of(url)
    host = parts.hostname or ""
    if parts.scheme == "http" and not _named(host, allowed):
        raise Invalid(
            N_("Webhooks are sent over https."), field="target",
            fix=N_("Use https, or have the host named in BERTH_WEBHOOK_HOSTS."),
        )  # fmt: skip
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return
    if not permitted(host, address, allowed):
        raise _internal(host)


def addresses(host: str, port: int, allowed: list[str]) -> list[str]:
    """Where the name leads; raises Invalid if any of it is internal and not allowed, OSError if it leads nowhere."""
    found = {info[4][0] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    for one in found:
        if not permitted(host, ipaddress.ip_address(str(one).partition("%")[0]), allowed):
            raise _internal(host)
    return sorted(str(one) for one in found)


def permitted(host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address, allowed: list[str]) -> bool:
    """Whether it is a public address, or named by its name, address or network."""
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        return permitted(host, mapped, allowed)
    if _named(host, allowed) or any(address in network for network in _networks(allowed)):
        return True
    return address.is_global and not address.is_multicast


def _named(host: str, allowed: list[str]) -> bool:
    return host.lower() in {one.lower() for one in allowed}


def _networks(allowed: list[str]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    found = []
    for one in allowed:
        try:
            found.append(ipaddress.ip_network(one, strict=False))
        except ValueError:
            continue  # a name
    return found


def _internal(host: str) -> Invalid:
    return Invalid(
        N_("%(host)s is inside Berth's own networks."), field="target", rule="webhook.internal",
        fix=N_("Use a public address, or have the host or network named in BERTH_WEBHOOK_HOSTS."), host=host,
    )  # fmt: skip
