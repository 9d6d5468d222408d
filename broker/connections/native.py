"""How programs on the user's own computer name a machine and find the public port.

The names can exist nowhere else (RFC 6761), so that a file of ours leads to nobody by mistake.
"""

from urllib.parse import urlsplit

from django.conf import settings

from broker.settings import env

USER = "berth"
PORT, TLS_PORT = 5900, 5901
"""No ports but words: whether the client speaks SPICE in the clear or within TLS. Who then looks into it is not for it
to choose."""
DOMAIN = "berth.invalid"


def place(machine: object) -> str:
    """The name under which a client asks for a machine."""
    return f"{machine}.{DOMAIN}"


def proxy_address() -> str:
    """host:port where native clients come in; empty when there is no such place.

    Without a setting it is the public port itself, if clients reach it directly: no proxy in front passes CONNECT on.
    """
    if env.native_address or env.behind_proxy:
        return env.native_address
    first = urlsplit(settings.ORIGINS[0])
    return f"{first.hostname}:{first.port or 80}" if first.scheme == "http" else ""
