"""Machines changed while they run."""

from dataclasses import dataclass
from typing import Protocol

from .machines import NicSpec


@dataclass(frozen=True, slots=True)
class Running:
    """What the hypervisor says the present run has. `memory_mib`: built in and plugged in; `balloon_mib`: what the
    balloon leaves of it. `cards`: by their MAC."""

    vcpus: int
    memory_mib: int
    balloon_mib: int
    cards: tuple[str, ...] = ()


class Changes(Protocol):
    """All raise Refused when the machine does not run, or its present run cannot have it."""

    def running(self, uuid: str) -> Running: ...
    def plug_vcpus(self, uuid: str, count: int) -> None:
        """Give it processors up to `count`; done when it has so many. Never takes one."""
        ...

    def plug_memory(self, uuid: str, memory_mib: int) -> None:
        """Plug memory in until it has so much; done when it has. Never takes any."""
        ...

    def set_balloon(self, uuid: str, memory_mib: int) -> None:
        """Ask the guest to make do with so much. Whether it does is for `running` to say."""
        ...

    def attach_nic(self, uuid: str, nic: NicSpec) -> None:
        """Plug it in; done when it is in."""
        ...

    def detach_nic(self, uuid: str, mac: str) -> bool:
        """Ask the guest to let it go; whether it has."""
        ...

    def change_nic(self, uuid: str, nic: NicSpec) -> None:
        """Another network, cable in or out, other limits or another guard; its model stays."""
        ...
