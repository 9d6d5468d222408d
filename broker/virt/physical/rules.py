"""What may be said of a physical PC: checked once, for the actions, the table of PCs and the back office."""

from collections.abc import Mapping
from typing import Any

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.virt import names

from . import addresses, secret

PHYSICAL = "physical"
"""In the place where a virtual machine has its kind of mainboard."""
PORTS = ("vnc_port", "rdp_port", "probe_port")
LEAST_PORT, MOST_PORT = 1024, 65535
_ALSO = {"probe_port": (22, 135, 139, 445)}
"""Ports below 1024 by which a PC may be seen to be on: of SSH and of Windows; nothing is said there."""


def checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of PhysicalMachine as they can be kept, of what is given. Raises Invalid."""
    kept: dict[str, Any] = {}
    if "address" in values:
        kept["address"] = addresses.checked(str(values["address"]).strip())
    if "mac" in values:
        mac = str(values["mac"]).strip().replace("-", ":")
        kept["mac"] = names.mac(mac) if mac else ""
    if "broadcast" in values:
        kept["broadcast"] = addresses.checked_broadcast(str(values["broadcast"] or "").strip())
    for port in PORTS:
        if port in values:
            kept[port] = _port(values[port], port)
    if "vnc_password" in values:
        kept["vnc_secret"] = secret.sealed(values["vnc_password"])
    if "maintenance" in values:
        kept["maintenance"] = bool(values["maintenance"])
    return kept


def require_a_way(*, vnc_port: int | None, rdp_port: int | None, **_: Any) -> None:
    """Raise Invalid for a PC that could not be opened at all."""
    if not vnc_port and not rdp_port:
        raise Invalid(
            N_("This PC has no way in."), field="vnc_port", fix=N_("Give the port of its VNC server, or that of RDP.")
        )


def _port(value: int | None, field: str) -> int | None:
    """Zero and None are none. Others of the system's ports are not to be knocked at by a slip, or on purpose."""
    if not value:
        return None
    if value in _ALSO.get(field, ()):
        return value
    return names.number(value, field=field, least=LEAST_PORT, most=MOST_PORT)
