"""Networks that machines plug into."""

from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """kind "nat": a private subnet behind the host; "isolated": without a way out; "bridge": joins `bridge`; "ovs":
    joins `bridge` of Open vSwitch, whose frames carry the tag `vlan` (0: none).
    `mtu`, of the first two: 0 for the hypervisor's usual. Cards have that of their bridge when they are plugged in."""

    name: str
    uuid: str
    kind: Literal["nat", "isolated", "bridge", "ovs"]
    bridge: str = ""
    subnet: str = ""  # CIDR for nat and isolated, e.g. "192.0.2.0/24"
    vlan: int = 0
    mtu: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """An address that the network's DHCP gave to a card."""

    mac: str
    address: str


class Networks(Protocol):
    def ensure_network(self, spec: NetworkSpec) -> None:
        """Have it there, as the spec says. A change takes those networks down and up that it must."""
        ...

    def leases(self, name: str) -> tuple[Lease, ...]:
        """The addresses given away on this host; none where the network has no DHCP or is not there."""
        ...

    def remove_network(self, name: str) -> None: ...
