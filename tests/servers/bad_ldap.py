"""Servers that an LDAP client may meet and that are no use: silent, half-hearted, babbling, or somebody else."""

import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.slapd import authority, certificate

# A bind response of 12 bytes (RFC 4511: message 1, success), of which only the beginning comes.
HALF = bytes.fromhex("300c0201016107")
BABBLE = b"HTTP/1.1 400 Bad Request\r\n\r\n" * 40


@contextmanager
def serving(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """Yield the port; each connection is handed to `behave` in a thread and closed when it returns."""
    done, lines = threading.Event(), []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)

        def accept() -> None:
            while not done.is_set():
                try:
                    line, _ = server.accept()
                except TimeoutError:
                    continue
                except OSError:
                    return
                lines.append(line)
                threading.Thread(target=_guarded, args=(behave, line), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            done.set()
            for line in lines:
                line.close()
            thread.join(5)


def _guarded(behave: Callable[[socket.socket], None], line: socket.socket) -> None:
    try:
        behave(line)
    except OSError:
        pass  # the client has gone, as it should


def silent(line: socket.socket) -> None:
    """Takes everything, says nothing."""
    while line.recv(4096):
        pass


def half(line: socket.socket) -> None:
    """Begins an answer and never ends it."""
    line.recv(4096)
    line.sendall(HALF)
    silent(line)


def babble(line: socket.socket) -> None:
    """Speaks something else."""
    line.recv(4096)
    line.sendall(BABBLE)
    silent(line)


def hangs_up(line: socket.socket) -> None:
    line.recv(4096)
    line.close()


@contextmanager
def impostor(*, same_ca: tuple | None = None, ip: str = "127.0.0.1") -> Iterator[int]:
    """A TLS server with a certificate of another CA, or of `same_ca` for another address."""
    with tempfile.TemporaryDirectory(prefix="berth-tls-") as name:
        certificate(Path(name), *(same_ca or authority("Somebody else")), ip=ip)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(Path(name) / "server.pem", Path(name) / "server.key")

        def behave(line: socket.socket) -> None:
            line.settimeout(10)
            with context.wrap_socket(line, server_side=True) as inside:
                silent(inside)

        with serving(behave) as port:
            yield port
