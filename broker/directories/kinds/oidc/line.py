"""Ask a provider by HTTPS: for so many seconds altogether, for so many bytes, and never where a redirect leads.

Its name is looked up once for each connection, every address is judged, and the connection goes to one that was.
Proxies of the environment are not used, for they would look names up themselves.
"""

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from broker.core import clock
from broker.core.addresses import address_of, is_ours, is_public

from .config import OidcConfig, is_safe

SECONDS = 2.5
"""For everything that is asked in a sign-in, so that the page answers within three."""
MOST_BYTES = 512 * 1024


class Silent(Exception):
    """The provider does not answer, or not as providers do; the text is for the log and for administrators."""


class Line:
    """All that is asked of a provider for one sign-in."""

    def __init__(self, config: OidcConfig, seconds: float = SECONDS):
        self.config, self.ends = config, clock.steady() + seconds

    def ask(
        self, url: str, *, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of an answer; `body` is sent as a form by POST. Raises Silent."""
        if not is_safe(url, loopback=self.config.issuer.startswith("http:")):
            raise Silent("an address that is not HTTPS")
        answer: list[tuple[int, bytes] | BaseException] = []
        call = _Call(self.config, url, body, {**_ALWAYS, **(headers or {})}, max(self.ends - clock.steady(), 0.05))
        # What the resolver takes, and an answer that comes drop by drop, cannot be limited otherwise.
        thread = threading.Thread(target=call.run, args=(answer,), daemon=True)
        thread.start()
        thread.join(max(self.ends - clock.steady(), 0.05))
        if not answer:
            call.give_up()
            raise Silent("no answer in time")
        if isinstance(answer[0], BaseException):
            raise Silent(f"{type(answer[0]).__name__}: {answer[0]}"[:300]) from answer[0]
        status, content = answer[0]
        if 300 <= status < 400:
            raise Silent("it sends us elsewhere, where Berth does not follow")
        try:
            told = json.loads(content)
        except (ValueError, RecursionError):
            raise Silent(f"an answer ({status}) that is no JSON") from None
        if not isinstance(told, dict):
            raise Silent(f"an answer ({status}) that is no object")
        return status, told


_ALWAYS = {"User-Agent": "Berth", "Accept": "application/json", "Accept-Encoding": "identity", "Connection": "close"}


class _Call:
    """One question, asked in a thread of its own."""

    def __init__(self, config: OidcConfig, url: str, body: str | None, headers: dict[str, str], seconds: float):
        self.config, self.body, self.headers, self.seconds = config, body, headers, seconds
        parts = urlsplit(url)
        self.secure, self.host = parts.scheme == "https", parts.hostname or ""
        self.port = parts.port or (443 if self.secure else 80)
        self.path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self.given_up = False
        self.plain: socket.socket | None = None

    def run(self, answer: list[Any]) -> None:
        try:
            answer.append(self._asked())
        except Exception as error:
            answer.append(error)

    def give_up(self) -> None:
        """Nobody waits any more: a read that goes on ends."""
        self.given_up = True
        if self.plain is not None:
            try:
                self.plain.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it was not connected yet, or has ended by itself

    def _asked(self) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.host, self.port)
        connection.default_port = 443 if self.secure else 80  # which the Host header leaves out
        connection.sock = self._connected()
        try:
            if self.body is not None:
                self.headers["Content-Type"] = "application/x-www-form-urlencoded"
            connection.request("GET" if self.body is None else "POST", self.path, self.body, self.headers)
            answer = connection.getresponse()
            content = answer.read(MOST_BYTES + 1)
            if len(content) > MOST_BYTES:
                raise ValueError("the answer is larger than any of a provider")
            return answer.status, content
        finally:
            connection.close()

    def _connected(self) -> socket.socket:
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        for *_kind, address in found:
            told = address_of(str(address[0]))
            if not (is_ours(told) if self.config.private else is_public(told)):
                raise ValueError(f"{self.host} has the address {told}, which is not of the public internet")
        family, _type, _proto, _name, address = found[0]
        if self.given_up:
            raise TimeoutError("nobody waits any more")
        self.plain = socket.socket(family, socket.SOCK_STREAM)
        try:
            self.plain.settimeout(self.seconds)
            self.plain.connect(address)
            if not self.secure:
                return self.plain
            trusted = ssl.create_default_context(cadata=self.config.ca or None)
            self.plain = trusted.wrap_socket(self.plain, server_hostname=self.host)
            return self.plain
        except BaseException:
            self.plain.close()
            raise
