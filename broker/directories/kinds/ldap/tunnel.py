"""The encrypted way to a server, made here and not by libldap: its TLS handshake waits for ever.

(libldap 2.5 as Debian builds it, with GnuTLS, heeds neither network nor operation timeouts during the handshake, for
LDAPS as for StartTLS; seen with a server that takes the connection and says nothing.) So Python's own TLS, which keeps
a deadline and says what is wrong with a certificate, talks to the server, and libldap to a socket pair.
"""

import socket
import ssl
import threading
from functools import lru_cache
from selectors import EVENT_READ, DefaultSelector
from urllib.parse import urlsplit

from broker.core import clock

# LDAPMessage 1, ExtendedRequest 1.3.6.1.4.1.1466.20037 (RFC 4511, 4.14.1).
START_TLS = bytes.fromhex("301d02010177188016") + b"1.3.6.1.4.1.1466.20037"
EXTENDED_RESPONSE, ENUMERATED, SEQUENCE = 0x78, 0x0A, 0x30
LONGEST_ANSWER = 4096
CHUNK = 65536
STALLED_SECONDS = 120.0
"""How long the pump waits in the middle of a record; libldap gave up long before."""


class NoTls(OSError):
    """The server does not do StartTLS, or answered something else."""


@lru_cache(maxsize=32)
def context(ca: str) -> ssl.SSLContext:
    """Proves the server's name by the CA given as PEM text, or the system's."""
    return ssl.create_default_context(cadata=ca) if ca else ssl.create_default_context()


def connect(server: str, *, ca: str, start_tls: bool, seconds: float) -> int:
    """A file descriptor on which to speak LDAP in clear; whoever closes it closes the line to the server.

    Raises TimeoutError, ssl.SSLCertVerificationError, or another OSError.
    """
    parts = urlsplit(server)
    ends, secure = clock.steady() + seconds, parts.scheme == "ldaps"
    line = socket.create_connection((parts.hostname, parts.port or (636 if secure else 389)), timeout=seconds)
    try:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not secure and not start_tls:
            line.setblocking(False)  # else libldap waits for the rest of half an answer whatever its own limits
            return line.detach()
        if not secure:
            _left(line, ends)
            line.sendall(START_TLS)
            _agreed(_message(line, ends))
        _left(line, ends)
        inside = context(ca).wrap_socket(line, server_hostname=parts.hostname)
    except BaseException:
        line.close()
        raise
    near, far = socket.socketpair()
    near.setblocking(False)
    inside.settimeout(STALLED_SECONDS)
    threading.Thread(target=_pump, args=(far, inside), name="ldap-tls", daemon=True).start()
    return near.detach()


def _left(line: socket.socket, ends: float) -> None:
    left = ends - clock.steady()
    if left <= 0:
        raise TimeoutError("no time left")
    line.settimeout(left)


def _message(line: socket.socket, ends: float) -> bytes:
    """The content of one LDAPMessage, and not a byte more: what follows has to be encrypted."""
    tag, length = _exactly(line, 2, ends)
    if length > 0x84:
        raise NoTls("no LDAP answer")
    if length >= 0x80:
        length = int.from_bytes(_exactly(line, length - 0x80, ends), "big")
    if tag != SEQUENCE or length > LONGEST_ANSWER:
        raise NoTls("no LDAP answer")
    return _exactly(line, length, ends)


def _exactly(line: socket.socket, count: int, ends: float) -> bytes:
    found = b""
    while len(found) < count:
        _left(line, ends)
        part = line.recv(count - len(found))
        if not part:
            raise ConnectionResetError("the server hung up")
        found += part
    return found


def _agreed(message: bytes) -> None:
    """Raise NoTls unless the message (id, extended response, result code first) says success."""
    try:
        rest = message[2 + message[1] :]
        ok = rest[0] == EXTENDED_RESPONSE
        body = rest[2 + (rest[1] - 0x80 if rest[1] >= 0x80 else 0) :]
        ok = ok and body[0] == ENUMERATED and body[1] == 1 and body[2] == 0
    except IndexError:
        ok = False
    if not ok:
        raise NoTls("the server does not do StartTLS")


def _pump(far: socket.socket, inside: ssl.SSLSocket) -> None:
    """Carry bytes both ways until one side has gone."""
    with far, inside, DefaultSelector() as ready:
        ready.register(far, EVENT_READ)
        ready.register(inside, EVENT_READ)
        try:
            while True:
                sources = {key.fileobj for key, _ in ready.select()}
                if far in sources:
                    if not (data := far.recv(CHUNK)):
                        return
                    inside.sendall(data)
                while inside in sources or inside.pending():
                    sources.discard(inside)
                    if not (data := inside.recv(CHUNK)):
                        return
                    far.sendall(data)
        except OSError:
            return  # libldap sees the end of the line and says so
