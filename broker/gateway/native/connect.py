"""The CONNECT request of a native client: whom does it want, and with which ticket? Pure checks.

There is no proxy here: the only "hosts" are machines by their id, under a name that can exist nowhere (RFC 6761), and
the port says only whether the client begins with TLS. The ticket is the password of Basic credentials, which the client
sends at once and in a header, so that no URL has it.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from broker.connections.native import DOMAIN, PORT, TLS_PORT, USER
from broker.gateway.admission import Rejected

MOST = 4096
"""The longest request; remote-viewer's has some 200 bytes."""
BEGINS = b"CONNECT "
_LINE = re.compile(r"CONNECT ([^ ]+) HTTP/1\.[01]")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_PLACE = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\." + re.escape(DOMAIN))
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Asked:
    """`headers` has lower-case names. `tls`: the client speaks SPICE within TLS."""

    machine: str
    secret: str = field(repr=False)
    headers: Mapping[str, list[str]] = field(repr=False)
    tls: bool = False


def read(request: bytes) -> Asked:
    """What a whole request, up to its empty line, asks for. Raises Rejected."""
    if len(request) > MOST or not request.endswith(b"\r\n\r\n"):
        raise Rejected(431 if len(request) > MOST else 400, "not a request")
    first, *lines = request[:-4].decode("latin-1").split("\r\n")
    if (asked := _LINE.fullmatch(first)) is None:
        raise Rejected(400, "not a CONNECT request")
    headers: dict[str, list[str]] = {}
    for line in lines:
        if (header := _HEADER.fullmatch(line)) is None:
            raise Rejected(400, "not a header")
        headers.setdefault(header[1].lower(), []).append(header[2].rstrip(" \t"))
    host, _, port = asked[1].rpartition(":")
    named = _PLACE.fullmatch(host.lower())
    if named is None or port not in (str(PORT), str(TLS_PORT)):
        raise Rejected(403, "only machines of this site, by the name in the file")
    return Asked(named[1], _ticket(headers.get("proxy-authorization", [])), headers, port == str(TLS_PORT))


def _ticket(values: list[str]) -> str:
    scheme, _, encoded = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    if scheme.lower() != "basic":
        raise Rejected(407, "the ticket of the file is missing")
    try:
        user, _, secret = base64.b64decode(encoded.strip(), validate=True).decode("ascii").partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise Rejected(407, "unreadable credentials") from None
    if user != USER or not _SECRET.fullmatch(secret):
        raise Rejected(407, "these credentials are no ticket")
    return secret


def answer(rejection: Rejected) -> bytes:
    """The HTTP answer to a request that is refused."""
    body = rejection.reason.encode()
    ask = 'Proxy-Authenticate: Basic realm="Berth"\r\n' if rejection.status == 407 else ""
    return (
        f"HTTP/1.1 {rejection.status} Refused\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n{ask}"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    ).encode() + body
