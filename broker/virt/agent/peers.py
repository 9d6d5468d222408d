"""Agents greet each other: who answers is reached, and that is all it says."""

import socket
import socketserver
import threading
from collections.abc import Iterable

TIMEOUT = 2.0


class Door:
    """Tells everybody who asks which host this is."""

    def __init__(self, host: str, port: int):
        greeting = f"berth {host}\n".encode()

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.settimeout(TIMEOUT)
                self.request.sendall(greeting)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads = True, True

        self._server = Server(("", port), Handler)
        threading.Thread(target=self._server.serve_forever, name="door", daemon=True).start()


def reached(peers: Iterable[tuple[str, str]], port: int) -> list[str]:
    """Those of the hosts that answer as themselves, all asked at the same time."""
    found: list[str] = []

    def ask(host: str, address: str) -> None:
        try:
            with socket.create_connection((address, port), timeout=TIMEOUT) as line:
                if line.makefile("rb").readline(64).strip() == f"berth {host}".encode():
                    found.append(host)
        except OSError:
            return

    threads = [threading.Thread(target=ask, args=one, daemon=True) for one in peers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * TIMEOUT)
    return sorted(found)
