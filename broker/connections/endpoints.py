"""Where a machine's screen listens, as the monitor last saw it. Never shown to a browser."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from broker.virt.serial import socket_path

if TYPE_CHECKING:
    from broker.connections.rdp_login import RdpLogin
    from broker.virt.models import VirtualMachine


SERIAL = "serial"
"""The kind of console that is the machine's serial line; whoever watches its host keeps it."""
RDP = "rdp"
"""The desktop's own remote desktop, which no hypervisor knows of."""
BY_VNC = (SERIAL, RDP)
"""Kinds that come by the door of VNC: the ticket alone says which of them it is."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A unix socket path on this machine, or host and port; `tls` says that only TLS is spoken there.

    With `login` it is the desktop's own remote desktop.
    `bare`: of a physical PC, which has a `password` at most; that is there only for the gateway (physical.py).
    """

    kind: str
    unix: str = ""
    host: str = ""
    port: int = 0
    tls: bool = False
    login: "RdpLogin | None" = field(default=None, repr=False)
    bare: bool = False
    password: str = field(default="", repr=False)


def endpoints(vm: "VirtualMachine") -> list[Endpoint]:
    """All of the machine's screens; entries that name no place are left out."""
    found = [
        Endpoint(
            kind=str(entry.get("kind", "")),
            unix=str(entry.get("unix") or ""),
            host=str(entry.get("host") or ""),
            port=int(entry.get("port") or 0),
            tls=bool(entry.get("tls")),
            bare=bool(entry.get("bare")),
        )
        for entry in vm.consoles
    ]
    return [endpoint for endpoint in found if endpoint.unix or (endpoint.host and endpoint.port)]


def through_gateway(vm: "VirtualMachine", kind: str) -> Endpoint | None:
    """The screen the gateway can reach: a unix socket, else TLS. A bare port, which has no lock, only of a PC."""
    if kind == SERIAL:
        return Endpoint(kind, unix=str(socket_path()))
    candidates = [endpoint for endpoint in endpoints(vm) if endpoint.kind == kind]
    return next((e for e in candidates if e.unix), None) or next((e for e in candidates if e.tls or e.bare), None)


def direct(vm: "VirtualMachine", kind: str) -> Endpoint | None:
    """The screen a program on the user's own computer can reach."""
    return next((e for e in endpoints(vm) if e.kind == kind and e.port and not e.bare), None)
