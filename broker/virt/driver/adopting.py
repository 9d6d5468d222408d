"""What somebody else's machine is made of, as far as Berth could look after it."""

from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class FoundDisk:
    """A disk on a qcow2 image in a file of its own, of the kind Berth makes."""

    target: str
    path: str
    capacity: int


@dataclass(frozen=True, slots=True)
class FoundNic:
    """A virtio card on a network that the driver knows by this name."""

    mac: str
    network: str


@dataclass(frozen=True, slots=True)
class FoundMachine:
    """`outside`: names of the devices that are none of these, and so belong to the host it is on. The rest
    as in Hardware.
    """

    name: str
    title: str
    vcpus: int
    memory_mib: int
    balloon_mib: int
    machine: Literal["q35", "pc"]
    graphics: tuple[str, ...]
    video: str
    disks: tuple[FoundDisk, ...]
    nics: tuple[FoundNic, ...]
    outside: tuple[str, ...]
    cpu_pinning: str = ""
    emulator_cpus: str = ""
    hugepages_kib: int = 0
    numa_nodes: int = 0
    numa_mode: str = ""
    numa_host_nodes: str = ""


class Adopting(Protocol):
    def found(self, uuid: str) -> FoundMachine:
        """Read a machine's definition; nothing is changed. Raises NotFound."""
        ...
