"""The simulated driver: hosts that exist in memory, for simulations, load tests and tests without a hypervisor.

URIs: sim://NAME, with options behind "?": cpus, memory (MiB), models (of processors, by commas), vnc (a unix socket
every machine's console points to), state (a file that keeps the host, so that several processes see one), site (hosts
of one site in one process see the same storage). All connections of one process to one name see the same host;
`world(uri)` gives it for setting faults, delays and foreign machines.
"""

from broker.virt.driver import HostConnection
from broker.virt.drivers.simulated.host import SimulatedHost
from broker.virt.drivers.simulated.moves import order_moves
from broker.virt.drivers.simulated.world import World, world

name = "simulated"

__all__ = ["SimulatedHost", "World", "connect", "name", "order_moves", "world"]


def connect(uri: str, *, timeout: float = 5.0) -> HostConnection:
    """Connect to the simulated host. Raises HostUnreachable while it is unplugged, Invalid for another URI."""
    place = world(uri)
    place.meet("connect")
    return SimulatedHost(place)
