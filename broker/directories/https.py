"""Ask a provider by HTTPS: for so many seconds altogether, for so many bytes, and never where a redirect leads.

Its name is looked up once for each connection, every address is judged, and the connection goes to one that was.
Proxies of the environment are not used, for they would look names up themselves.
"""

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from broker.core import clock
from broker.core.addresses import address_of, is_ours, is_public

SECONDS = 2.5
"""For everything that is asked in a sign-in, so that the page answers within three."""
MOST_BYTES = 512 * 1024
LONGEST_ADDRESS = 1000
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Silent(Exception):
    """The provider does not answer, or not as providers do; the text is for the log and for administrators."""


def is_safe(url: Any, *, loopback: bool = False) -> bool:
    """Whether a provider's address can be used: HTTPS; with `loopback` plain HTTP to this very computer as well."""
    if not isinstance(url, str) or not 0 < len(url) <= LONGEST_ADDRESS or not url.isascii():
        return False
    if any(ord(character) <= 32 or character in '\x7f\\"<>' for character in url):
        return False
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 443
    except ValueError:
        return False
    plain = loopback and parts.scheme == "http" and host in LOOPBACK
    return bool(host) and (parts.scheme == "https" or plain) and "@" not in parts.netloc and port > 0


class Line:
    """All that is asked of a provider for one sign-in.

    `private`: it may have addresses that are not of the public internet; `loopback`: it may be spoken to without TLS,
    on this very computer; `ca`: its own authority as PEM text, empty for the system's.
    """

    def __init__(self, *, private: bool, loopback: bool, ca: str, seconds: float = SECONDS):
        self.private, self.loopback, self.ca = private, loopback, ca
        self.ends = clock.steady() + seconds

    def fetch(self, url: str, *, body: str | None = None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and content of an answer; `body` is sent as a form by POST. Raises Silent."""
        if not is_safe(url, loopback=self.loopback):
            raise Silent("an address that is not HTTPS")
        answer: list[tuple[int, bytes] | BaseException] = []
        call = _Call(self, url, body, {**_ALWAYS, **headers}, max(self.ends - clock.steady(), 0.05))
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
        return status, content


_ALWAYS = {"User-Agent": "Berth", "Accept-Encoding": "identity", "Connection": "close"}


class _Call:
    """One question, asked in a thread of its own."""

    def __init__(self, line: Line, url: str, body: str | None, headers: dict[str, str], seconds: float):
        self.line, self.body, self.headers, self.seconds = line, body, headers, seconds
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
            if not (is_ours(told) if self.line.private else is_public(told)):
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
            trusted = ssl.create_default_context(cadata=self.line.ca or None)
            self.plain = trusted.wrap_socket(self.plain, server_hostname=self.host)
            return self.plain
        except BaseException:
            self.plain.close()
            raise
