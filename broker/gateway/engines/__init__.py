"""The relays that carry consoles. Each is one module, chosen by the setting BERTH_CONSOLE_ENGINE."""

import importlib
import socket
import ssl
from typing import Protocol

from broker.gateway.floor import Floor

NAMES = ("picows", "websockify")


class Engine(Protocol):
    """One relay. All methods are called on the event loop."""

    async def listen(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Accept on this listening socket until `stop_listening`."""
        ...

    async def adopt(self, connection: socket.socket, request: bytes = b"") -> None:
        """Serve a connection that another process accepted; `request` is what that process already read."""
        ...

    async def stop_listening(self) -> None: ...

    def open_connections(self) -> int:
        """Connections that are not gone yet, admitted or not."""
        ...


def make(name: str, floor: Floor) -> Engine:
    """The engine of that name. Raises LookupError for a name that is not in NAMES."""
    if name not in NAMES:
        raise LookupError(f"no console engine named {name!r}; there are {', '.join(NAMES)}")
    engine: Engine = importlib.import_module(f".{name}", __package__).build(floor)
    return engine
