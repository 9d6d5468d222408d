"""How the hypervisor of one host reaches that of another. Pure."""

from urllib.parse import urlsplit

from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.virt.models import Host


def address(host: Host) -> str:
    """The name or IP address of the host for others; empty when none is known."""
    return host.address or urlsplit(host.uri).hostname or host.hostname


def peer_uri(host: Host) -> str:
    """The libvirt URI of `host` as another host uses it: over TLS with that host's own certificate.

    Raises Conflict when there is no way to it.
    """
    if host.driver != "libvirt":
        return host.uri
    name = address(host)
    if not name:
        raise Conflict(
            N_("How other hosts reach %(host)s is not known."),
            rule="migration.reach",
            fix=N_("Give the host an address on its page."),
            host=host.name,
        )
    parts = urlsplit(host.uri)
    transport = "tcp" if parts.scheme.endswith("+tcp") else "tls"
    port = f":{parts.port}" if parts.port and transport in parts.scheme else ""
    shown = f"[{name}]" if ":" in name else name
    return f"qemu+{transport}://{shown}{port}/system"


def encryptable(host: Host) -> bool:
    """Whether what moves to `host` can be encrypted: not where hosts speak plain TCP among themselves."""
    return not urlsplit(host.uri).scheme.endswith("+tcp")
