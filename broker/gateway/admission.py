"""The upgrade request: may this even be a console? Pure checks, before any ticket is looked at.

The ticket travels in Sec-WebSocket-Protocol (`berth.ticket.<base64url>` beside `binary`), because browsers
can set that header and nothing logs it; a URL would be kept by proxies, histories and logs.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from .desk import Presented

PATH = "/console/ws"
PATHS = {PATH: "vnc", "/console/spice": "spice"}
"""What is spoken at each address."""
TICKET_PREFIX = "berth.ticket."
SUBPROTOCOL = "binary"
ECHO = b"echo"
"""The one text that a browser may send, and gets back: it tells a page with a still picture that the line lives."""
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_DEFAULT_PORTS = {"http": 80, "https": 443}
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Rejected(Exception):
    """The upgrade is refused with an HTTP answer; `status` and a `reason` that names no secret."""

    def __init__(self, status: int, reason: str):
        super().__init__(reason)
        self.status, self.reason = status, reason


def normal_origin(origin: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an origin as a browser writes it; None for anything else ("null", a path, …)."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    if parts.path or parts.query or parts.fragment or any(character.isspace() for character in origin):
        return None
    return parts.scheme, parts.hostname, port or _DEFAULT_PORTS[parts.scheme]


@dataclass(frozen=True)
class Policy:
    """Which upgrades are looked at. Origins come from the settings alone: nothing is learnt from requests.

    `proxies` are the networks whose X-Forwarded-For is believed; with none it never is.
    """

    origins: frozenset[tuple[str, str, int]]
    cookie: str = "sessionid"
    proxies: tuple[Network, ...] = ()

    @classmethod
    def of(cls, origins: Iterable[str], *, cookie: str = "sessionid", proxies: Iterable[str] = ()) -> "Policy":
        """Raises ValueError for what is no origin, address or network."""
        normal = {origin: normal_origin(origin) for origin in origins}
        if bad := [origin for origin, parts in normal.items() if parts is None]:
            raise ValueError(f"not an origin (scheme://host[:port]): {', '.join(bad)}")
        known = frozenset(parts for parts in normal.values() if parts)
        return cls(known, cookie, tuple(ipaddress.ip_network(proxy) for proxy in proxies))

    def admit(self, method: str, path: str, headers: Mapping[str, list[str]], peer: str) -> Presented:
        """Check an upgrade request. `headers` has lower-case names; `peer` is the socket's address.

        Returns what the ticket desk wants to see. Raises Rejected.
        """
        if method != "GET":
            raise Rejected(405, "only GET")
        bare, mark, _ = path.partition("?")
        if bare not in PATHS:
            raise Rejected(404, "no such address")
        if mark:
            raise Rejected(400, "a console address has no query: tickets never travel in a URL")
        origin = self._single(headers, "origin")
        if not origin or normal_origin(origin) not in self.origins:
            raise Rejected(403, "foreign or missing Origin")
        secret = self._secret(headers.get("sec-websocket-protocol", []))
        web_session = self._web_session(headers.get("cookie", []))
        return Presented(secret, web_session, self.address(headers, peer), PATHS[bare])

    @staticmethod
    def _single(headers: Mapping[str, list[str]], name: str) -> str:
        values = headers.get(name, [])
        if len(values) > 1:
            raise Rejected(400, f"more than one {name} header")
        return values[0] if values else ""

    @staticmethod
    def _secret(values: list[str]) -> str:
        offered = [token.strip() for value in values for token in value.split(",")]
        tickets = [token.removeprefix(TICKET_PREFIX) for token in offered if token.startswith(TICKET_PREFIX)]
        if SUBPROTOCOL not in offered or len(tickets) != 1 or not _SECRET.fullmatch(tickets[0]):
            raise Rejected(401, "exactly one ticket beside the subprotocol binary is needed")
        return tickets[0]

    def _web_session(self, values: list[str]) -> str:
        try:
            morsel = SimpleCookie("; ".join(values)).get(self.cookie)
        except CookieError:
            morsel = None
        if morsel is None or not morsel.value or len(morsel.value) > 128:
            raise Rejected(401, "not signed in")
        return morsel.value

    def address(self, headers: Mapping[str, list[str]], peer: str) -> str:
        """Who asks: the last address that no proxy of ours wrote about itself; those before it are mere claims."""
        if not self._is_proxy(peer):
            return peer
        forwarded = [part.strip() for value in headers.get("x-forwarded-for", []) for part in value.split(",")]
        named = [part for part in forwarded if part]
        return next((part for part in reversed(named) if not self._is_proxy(part)), named[0] if named else peer)[:64]

    def _is_proxy(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self.proxies)
