"""Machines whose screens others than Berth reach: made elsewhere and adopted, they listen on ports of their host."""

import ipaddress
from collections.abc import Iterable

from .models import VirtualMachine


def places(vm: VirtualMachine) -> list[str]:
    """Where its screens are open to the network, as "vnc 192.0.2.7:5900"."""
    ports = ((one["kind"], one.get("host") or "", one.get("port") or 0) for one in vm.consoles if not one.get("unix"))
    return [f"{kind} {host}:{port}" for kind, host, port in ports if port and _is_open(host)]


def names(machines: Iterable[VirtualMachine]) -> list[str]:
    """Of these the ones with such a screen."""
    return [vm.name for vm in machines if places(vm)]


def _is_open(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host not in ("", "localhost")  # by itself libvirt listens on 127.0.0.1
