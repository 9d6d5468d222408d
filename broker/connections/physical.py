"""The screen of a physical PC as the gateway is to dial it: its address judged once more, and its password opened."""

import ipaddress
from dataclasses import replace

from broker.core.errors import BerthError
from broker.virt.models import PhysicalMachine
from broker.virt.physical import addresses, secret

from .endpoints import Endpoint


def dialable(pc: PhysicalMachine, endpoint: Endpoint) -> Endpoint | None:
    """`endpoint`, as the duty saw it, with the password; None where Berth may not connect, or cannot sign in.

    The address is a number, so nothing is looked up here, and nobody can have it lead elsewhere.
    """
    if pc.maintenance:
        return None
    try:
        addresses.require_allowed(ipaddress.ip_address(endpoint.host))
        return replace(endpoint, password=secret.opened(pc)) if endpoint.bare else endpoint
    except (BerthError, ValueError):
        return None
