"""Networks that machines plug into."""

from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """kind "nat": a private subnet behind the host; "isolated": without a way out; "bridge": joins `bridge`."""

    name: str
    uuid: str
    kind: Literal["nat", "isolated", "bridge"]
    bridge: str = ""
    subnet: str = ""  # CIDR for nat and isolated, e.g. "192.0.2.0/24"


class Networks(Protocol):
    def ensure_network(self, spec: NetworkSpec) -> None: ...
    def remove_network(self, name: str) -> None: ...
